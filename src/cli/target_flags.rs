//! The flags that give addresses to targets which name a load balancer, endpoint or interface.

use clap::Args;

use super::exit::Failure;
use crate::control::account::{TargetResolver, check_target_name};
use crate::model::{
    GENEVE_PORT, TargetKind, VXLAN_PORT, parse_target_address, parse_target_addresses,
};

/// The flags that give addresses to targets. Several commands have them.
#[derive(Debug, Default, Args)]
pub(super) struct TargetFlags {
    /// Map network load balancers to their addresses, separated by commas. NAME is an ARN, the end
    /// net/NAME/ID of an ARN, or the name of the load balancer; `*` stands for any characters, as in
    /// 'net/ids/*=192.0.2.10'. May be given several times.
    #[arg(long, value_name = "NAME=ADDR,...")]
    load_balancer: Vec<String>,

    /// Map gateway load balancer endpoints to their addresses, separated by commas. VPCE is an id;
    /// `*` stands for any characters. May be given several times.
    #[arg(long, value_name = "VPCE=ADDR,...")]
    gwlb_endpoint: Vec<String>,

    /// Address of every target that names a load balancer, endpoint or network interface whose
    /// address is not known otherwise. The port defaults to 4789, and to 6081 for endpoints.
    #[arg(long, value_name = "ADDRESS")]
    default_target: Option<String>,

    /// Reject targets without an address. By default they are accepted, as in AWS, and their copies
    /// are dropped as no_target_address.
    #[arg(long)]
    strict_targets: bool,
}

impl TargetFlags {
    /// Rejects the flags beside `--target`, whose target has an address.
    pub(super) fn check_unused(&self) -> Result<(), Failure> {
        let given = [
            ("--load-balancer", !self.load_balancer.is_empty()),
            ("--gwlb-endpoint", !self.gwlb_endpoint.is_empty()),
            ("--default-target", self.default_target.is_some()),
            ("--strict-targets", self.strict_targets),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((option, _)) => Err(Failure::usage(format_args!(
                "{option}: expected --config in place of --target, because --target has an address"
            ))),
        }
    }

    /// The addresses that the flags assign.
    pub(super) fn resolver(&self) -> Result<TargetResolver, Failure> {
        let mut resolver = TargetResolver::default();
        for text in &self.load_balancer {
            assign(&mut resolver, ("--load-balancer", text), TargetKind::NetworkLoadBalancer)?;
        }
        for text in &self.gwlb_endpoint {
            let kind = TargetKind::GatewayLoadBalancerEndpoint;
            assign(&mut resolver, ("--gwlb-endpoint", text), kind)?;
        }
        if let Some(text) = &self.default_target {
            let with_port =
                |port| parse_target_address("--default-target", text, port).map_err(Failure::usage);
            let (vxlan, geneve) = (with_port(VXLAN_PORT)?, with_port(GENEVE_PORT)?);
            let port = (vxlan.port() == geneve.port()).then_some(vxlan.port());
            resolver.set_default(vxlan.ip(), port);
        }
        resolver.set_strict(self.strict_targets);
        Ok(resolver)
    }
}

/// Adds a mapping `NAME=ADDRESS,ADDRESS`. A name may contain `=`.
fn assign(
    resolver: &mut TargetResolver,
    (option, text): (&'static str, &str),
    kind: impl FnOnce(String) -> TargetKind,
) -> Result<(), Failure> {
    let Some((name, addresses)) = text.rsplit_once('=') else {
        return Err(Failure::usage(format_args!(
            "{option} `{text}`: expected NAME=ADDRESS, as in NAME=192.0.2.10"
        )));
    };
    let kind = kind(name.to_owned());
    check_name(&kind, name)
        .map_err(|why| Failure::usage(format_args!("{option} `{text}`: {why}")))?;
    let addresses = parse_target_addresses(option, addresses, &kind).map_err(Failure::usage)?;
    if resolver.is_assigned(&kind) {
        return Err(Failure::usage(format_args!(
            "{option} `{text}`: expected {name} once, with all its addresses after `=`"
        )));
    }
    resolver.assign(kind, addresses);
    Ok(())
}

/// Checks that a load balancer or an endpoint can have the name.
fn check_name(kind: &TargetKind, name: &str) -> Result<(), String> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-/*".contains(&byte);
    match kind {
        _ if name.contains('*') => Ok(()),
        TargetKind::NetworkLoadBalancer(arn) if !arn.starts_with("arn:") => {
            match !arn.is_empty() && arn.bytes().all(is_part) {
                true => Ok(()),
                false => {
                    Err("expected an ARN, net/NAME/ID or the name of a load balancer: letters, \
                              digits and hyphens"
                        .to_owned())
                }
            }
        }
        other => check_target_name(other).map_err(|refused| refused.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_the_default_target_depends_on_the_kind_if_it_is_omitted() {
        let of = |text: &str, kind: &TargetKind| {
            let flags = TargetFlags { default_target: Some(text.to_owned()), ..Default::default() };
            flags.resolver().unwrap().addresses_of(kind)[0].to_string()
        };
        let balancer = TargetKind::NetworkLoadBalancer("arn".to_owned());
        let endpoint = TargetKind::GatewayLoadBalancerEndpoint("vpce-1".to_owned());
        assert_eq!(of("192.0.2.1", &balancer), "192.0.2.1:4789");
        assert_eq!(of("192.0.2.1", &endpoint), "192.0.2.1:6081");
        assert_eq!(of("[2001:db8::1]:5000", &endpoint), "[2001:db8::1]:5000");
    }
}
