//! Tests of the choice with programs that are not loaded into the kernel.

use super::*;
use crate::dataplane::TableParts;
use crate::io::impair::Impairments;
use crate::io::udp::{EgressMode, UdpOptions};

fn chooser(wanted: Tier, kernel: Result<(), &str>) -> TierChooser {
    let attach: Arc<Attach> = Arc::new(|_, _: &Arc<MirrorTable>| Err(KernelTierError::Unsupported));
    TierChooser { wanted, kernel: kernel.map(|()| attach).map_err(str::to_owned) }
}

fn table() -> MirrorTable {
    MirrorTable::new(TableParts::default())
}

/// The loopback device of this host.
fn loopback() -> Link {
    let links = crate::io::links::links().unwrap();
    links.into_iter().find(|link| link.is_loopback).unwrap()
}

fn options(tier: Tier) -> Options {
    let mut options = Options { tier, ..Options::default() };
    options.ring.mark = Some(7);
    options
}

fn error(options: &Options) -> Option<Error> {
    TierChooser::open(options, &Arc::new(Egress::new(UdpOptions::default()))).err()
}

#[test]
fn a_reason_is_a_choice_of_the_ring_or_an_error() {
    let link = Link { is_loopback: false, ..loopback() };
    let choose = |wanted, kernel| chooser(wanted, kernel).choose(&link, &table());
    assert_eq!(choose(Tier::Ring, Ok(())), TierChoice::Ring(None));
    assert_eq!(choose(Tier::Auto, Ok(())), TierChoice::Kernel);
    assert_eq!(choose(Tier::Kernel, Ok(())), TierChoice::Kernel);
    let refusal = TierRefusal::permanent("no".to_owned());
    assert_eq!(choose(Tier::Auto, Err("no")), TierChoice::Ring(Some(refusal.clone())));
    assert_eq!(choose(Tier::Kernel, Err("no")), TierChoice::Neither(refusal));
}

#[test]
fn a_loopback_device_uses_the_ring() {
    let choice = chooser(Tier::Auto, Ok(())).choose(&loopback(), &table());
    assert!(matches!(choice, TierChoice::Ring(Some(_))), "{choice:?}");
}

#[test]
fn options_that_exclude_the_kernel_tier_are_an_error_if_it_is_required() {
    let mut impaired = options(Tier::Kernel);
    impaired.impairments = Some(Impairments::default());
    let mut ip = options(Tier::Kernel);
    ip.udp.egress = EgressMode::IpPackets;
    let mut unmarked = options(Tier::Kernel);
    unmarked.ring.mark = None;
    for (mut options, part) in
        [(impaired, "fault injection"), (ip, "IP packets"), (unmarked, "mark")]
    {
        let error = error(&options);
        let Some(Error::Tier { sentence, is_invalid: true }) = &error else {
            panic!("{part}: {error:?}");
        };
        assert!(sentence.contains(part), "{sentence}");
        assert!(!options.may_use_kernel_tier());
        options.tier = Tier::Auto;
        assert!(options.kernel_tier_conflict().is_some());
        assert!(TierChooser::open(&options, &Arc::new(Egress::new(UdpOptions::default()))).is_ok());
    }
    assert!(error(&Options::default()).is_none(), "the ring needs no mark");
    assert!(options(Tier::Auto).may_use_kernel_tier());
}
