//! `interfaces`: lists the network interfaces of this host and whether each can be mirrored.

use std::io::{ErrorKind, Write};
use std::net::IpAddr;

use clap::{Args, ValueEnum};
use comfy_table::CellAlignment;
use serde::Serialize;

use super::exit::{Exit, Failure, ignore_broken_pipe};
use super::{report_table, terminal};
use crate::io::links::{self, Link, Offloads};
use crate::io::sys::capability;

/// List the network interfaces of this host and whether each can be mirrored.
///
/// Shows the state, addresses and MTU of each interface, and the offloads that change captured
/// frames: tso, gso, gro and lro make frames longer than on the wire, csum leaves checksums
/// incomplete, vlan removes tags.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  traffic-mirror interfaces
  traffic-mirror interfaces --format json
  sudo traffic-mirror interfaces --netns blue")]
pub(super) struct InterfacesFlags {
    /// Format of the output.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = InterfacesFormat::Table)]
    format: InterfacesFormat,
    /// List the interfaces of another network namespace: a name of `ip netns`, or a path such as
    /// /proc/PID/ns/net.
    #[arg(long, value_name = "NAME")]
    netns: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum InterfacesFormat {
    /// A table.
    Table,
    /// One JSON array.
    Json,
}

pub(super) fn run(flags: &InterfacesFlags) -> Result<Exit, Failure> {
    if let Some(name) = &flags.netns {
        links::enter_network_namespace(name).map_err(|error| match error.kind() {
            ErrorKind::InvalidInput => Failure::usage(error),
            _ => Failure::failed(error),
        })?;
    }
    let may_capture = capability::has_net_raw();
    if !may_capture {
        terminal::warn(&missing_capability(&capability::effective_names()));
    }
    let links = links::links().map_err(Failure::failed)?;
    let rows: Vec<InterfaceRow> =
        links.into_iter().map(|link| InterfaceRow::new(link, may_capture)).collect();
    let text = match flags.format {
        InterfacesFormat::Table => table(&rows),
        InterfacesFormat::Json => serde_json::to_string(&rows).map_err(Failure::failed)? + "\n",
    };
    let mut out = terminal::stdout();
    ignore_broken_pipe(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

fn missing_capability(effective: &[String]) -> String {
    let has = if effective.iter().any(|name| name == "CAP_NET_RAW") {
        "it in another user namespace than that of the network".to_owned()
    } else if effective.is_empty() {
        "none".to_owned()
    } else {
        effective.join(", ")
    };
    format!("mirroring needs the capability CAP_NET_RAW, which root has; this process has {has}")
}

/// One row of the output.
#[derive(Debug, Serialize)]
struct InterfaceRow {
    device: String,
    state: &'static str,
    mac_address: Option<String>,
    addresses: Vec<IpAddr>,
    mtu: u32,
    kind: Option<String>,
    link_layer: String,
    /// The active offloads, abbreviated.
    offloads: Vec<&'static str>,
    /// `yes`, or `no: ` and the reason.
    mirror: String,
}

impl InterfaceRow {
    fn new(link: Link, may_capture: bool) -> Self {
        // An interface that disappears meanwhile has no offloads.
        let offloads = links::offloads(&link.name).unwrap_or_default();
        Self {
            state: state(&link),
            mirror: mirror(&link, may_capture),
            mac_address: link.mac.map(|mac| mac.to_string()),
            offloads: offload_names(&offloads),
            device: link.name,
            addresses: link.addresses,
            mtu: link.mtu,
            kind: link.kind,
            link_layer: link.link_layer,
        }
    }

    fn cells(&self) -> [String; 7] {
        let dash_if_empty = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        [
            printable(&self.device),
            self.state.to_owned(),
            dash_if_empty(self.mac_address.clone().unwrap_or_default()),
            dash_if_empty(addresses.join("\n")),
            self.mtu.to_string(),
            dash_if_empty(self.offloads.join(" ")),
            self.mirror.clone(),
        ]
    }
}

const fn state(link: &Link) -> &'static str {
    match (link.is_up, link.is_running) {
        (false, _) => "down",
        (true, false) => "no carrier",
        (true, true) => "up",
    }
}

/// `yes`, or `no: ` with the reason that is hardest to change.
fn mirror(link: &Link, may_capture: bool) -> String {
    if !link.is_ethernet {
        format!("no: not Ethernet (link/{})", link.link_layer)
    } else if !may_capture {
        "no: needs CAP_NET_RAW".to_owned()
    } else if !link.is_up {
        "no: down (mirrored once up)".to_owned()
    } else {
        "yes".to_owned()
    }
}

fn offload_names(offloads: &Offloads) -> Vec<&'static str> {
    let names = [
        (offloads.tso, "tso"),
        (offloads.gso, "gso"),
        (offloads.gro, "gro"),
        (offloads.lro, "lro"),
        (offloads.tx_checksum, "csum"),
        (offloads.rx_vlan, "vlan"),
    ];
    names.iter().filter(|(is_on, _)| *is_on == Some(true)).map(|(_, name)| *name).collect()
}

fn table(rows: &[InterfaceRow]) -> String {
    let names = ["device", "state", "MAC", "addresses", "MTU", "offloads", "mirror"];
    let mut table = report_table::table_with_columns(&names);
    for (column, name) in table.column_iter_mut().zip(names) {
        if name != "MTU" {
            column.set_cell_alignment(CellAlignment::Left);
        }
    }
    for row in rows {
        table.add_row(row.cells());
    }
    table.trim_fmt() + "\n"
}

/// Replaces control characters. A device name may have any byte except `/`, white space and zero,
/// and must not control the terminal.
fn printable(name: &str) -> String {
    name.chars().map(|one| if one.is_control() { '\u{fffd}' } else { one }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn veth() -> Link {
        Link {
            index: 2,
            name: "va".to_owned(),
            mac: None,
            permanent_mac: None,
            mtu: 1_500,
            is_up: true,
            is_running: true,
            is_loopback: false,
            resolves_neighbours: true,
            is_ethernet: true,
            link_layer: "ether".to_owned(),
            kind: None,
            qdisc: None,
            broadcasts: Vec::new(),
            addresses: Vec::new(),
        }
    }

    #[test]
    fn the_reason_why_an_interface_is_not_mirrored_is_shown() {
        let down = Link { is_up: false, is_running: false, ..veth() };
        let tunnel = Link { is_ethernet: false, link_layer: "ipip".to_owned(), ..veth() };
        let unplugged = Link { is_running: false, ..veth() };
        assert_eq!(mirror(&veth(), true), "yes");
        assert_eq!(mirror(&veth(), false), "no: needs CAP_NET_RAW");
        assert_eq!(mirror(&tunnel, false), "no: not Ethernet (link/ipip)");
        assert_eq!(mirror(&down, true), "no: down (mirrored once up)");
        assert_eq!((state(&unplugged), mirror(&unplugged, true)), ("no carrier", "yes".to_owned()));
    }

    #[test]
    fn the_effective_capabilities_are_shown() {
        let end = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            missing_capability(&names).rsplit_once("has ").unwrap().1.to_owned()
        };
        assert_eq!(end(&[]), "none");
        assert_eq!(end(&["CAP_KILL", "CAP_NET_ADMIN"]), "CAP_KILL, CAP_NET_ADMIN");
        assert!(end(&["CAP_KILL", "CAP_NET_RAW"]).starts_with("it in another user namespace"));
    }

    #[test]
    fn control_characters_in_names_are_escaped() {
        assert_eq!(printable("a\u{1b}[2J"), "a\u{fffd}[2J");
    }
}
