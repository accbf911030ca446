//! `run --tier kernel` and `--tier auto`: copies of eBPF programs.
//!
//! Prints `NOT RUN:` where the kernel or the rights of the user do not permit programs.

mod auto;
mod balance;
mod bytes;
mod killed;
mod loops;
mod next_hop;
mod rate_limit;
mod reload;
mod restrictions;
mod stream;
mod tags;
mod truncation;

use std::sync::OnceLock;

use crate::lab::Lab;
use crate::mirror::{BINARY, run_refused};
use testkit::namespace::Namespace;
use testkit::print_uncaptured;

/// The options of a run that mirrors h0 to the monitor.
const RUN: &str = "-i h0 --target 10.99.1.2 --virtual-network-id 42 --tier kernel";

/// A lab whose host knows the Ethernet address of the monitor.
fn kernel_lab(test: &str) -> Option<Lab> {
    let lab = kernel_lab_with_unknown_monitor(test)?;
    lab.host.ip("neigh replace 10.99.1.2 lladdr 02:00:00:00:02:02 dev m0 nud permanent\n");
    Some(lab)
}

/// None, after `NOT RUN:`, if programs are not possible.
fn kernel_lab_with_unknown_monitor(test: &str) -> Option<Lab> {
    let lab = Lab::new(test)?;
    is_available(&lab.host).then_some(lab)
}

/// The loopback device is rejected after everything else that the tier needs.
pub(crate) fn is_available(host: &Namespace) -> bool {
    static IS_AVAILABLE: OnceLock<bool> = OnceLock::new();
    *IS_AVAILABLE.get_or_init(|| {
        let words = "-i lo --target 10.99.1.2 --tier kernel";
        let (_, log_lines) = run_refused(host.command(BINARY), words);
        let is_available = log_lines.contains("passes a loopback device twice");
        if !is_available {
            print_uncaptured(&format!("NOT RUN: no kernel tier: {log_lines}\n"));
        }
        is_available
    })
}

/// The devices of pads in a namespace.
fn pad_devices(namespace: &Namespace) -> Vec<String> {
    let table = namespace.proc_net("dev");
    let names = table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
    names.filter(|name| name.starts_with("tm-")).collect()
}
