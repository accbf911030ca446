//! Compares the vector code with the portable code.

use super::CutForest;
use super::block::{Block, LANES};
use super::isa::{self, Isa, Portable};
use super::ternary::{Packet, Rule};
use super::trees::{BATCH_LEN, Search, Trees};
use crate::dataplane::flow_key::FlowKey;
use crate::dataplane::rules::answer::Answer;
use crate::dataplane::rules::list::{NO_MATCH, RuleList};
use crate::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, PortRange, Protocol, RuleAction, RuleNumber,
};

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Pseudo-random numbers, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % end
    }

    fn address(&mut self, is_ipv4: bool) -> IpAddr {
        let word = u32::try_from(self.below(4) << 30 | self.below(3) << 7 | self.below(2)).unwrap();
        if is_ipv4 {
            return Ipv4Addr::from_bits(word).into();
        }
        let low = u128::from(self.below(3)) << 40;
        Ipv6Addr::from_bits(u128::from(word) << 96 | low | u128::from(self.below(2))).into()
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        let place = self.below(u64::try_from(values.len()).unwrap());
        values.get(usize::try_from(place).unwrap()).copied().unwrap()
    }

    fn port(&mut self) -> u16 {
        self.one_of(&[0, 80, 81, 0x7fff, 0x8000, 0xffff])
    }

    fn protocol(&mut self) -> u8 {
        self.one_of(&[6, 17, 1, 0, 255])
    }

    fn rule(&mut self, number: i64, is_ipv4: bool) -> FilterRule {
        let most = if is_ipv4 { 33 } else { 129 };
        let mut block = || {
            let len = u8::try_from(self.below(most)).unwrap();
            CidrBlock::new(self.address(is_ipv4), len).unwrap()
        };
        let (source, destination) = (block(), block());
        let action = if self.below(3) == 0 { RuleAction::Reject } else { RuleAction::Accept };
        let number = RuleNumber::new(number).unwrap();
        let rule = FilterRule::new(Direction::Egress, number, action, source, destination).unwrap();
        let protocol = Protocol(self.protocol());
        if self.below(4) == 0 {
            return rule;
        }
        let rule = rule.with_protocol(protocol).unwrap();
        let (a, b) = (self.port(), self.port());
        if !protocol.has_ports() || self.below(3) == 0 {
            return rule;
        }
        rule.with_destination_ports(PortRange::new("ports", a.min(b), a.max(b)).unwrap()).unwrap()
    }

    fn key(&mut self, is_ipv4: bool) -> FlowKey {
        let ports = (self.below(5) != 0).then(|| (self.port(), self.port()));
        FlowKey::new(self.address(is_ipv4), self.address(is_ipv4), self.protocol(), ports)
    }
}

fn assert_blocks_agree<const A: usize>(is_ipv4: bool) {
    let mut random = Random(7);
    for _ in 0..200 {
        let rules: Vec<Rule<A>> =
            (1..=8).map(|place| Rule::new(&random.rule(1, is_ipv4), place)).collect();
        let held = random.one_of(&[0, 1, 4, 7, 8]);
        let block = Block::new(rules.iter().take(held), false);
        for _ in 0..50 {
            let packet = Packet::new(&random.key(is_ipv4));
            let floor = random.one_of(&[0, 0, 3, 6]);
            let portable = Portable.matching(&block, &packet, floor);
            assert!(portable < 1 << held, "of {LANES} lanes only those with rules match");
            #[cfg(target_arch = "x86_64")]
            if let Some(v3) = pulp::x86::V3::try_new() {
                let other = v3.vectorize(|| v3.matching(&block, &packet, floor));
                assert_eq!(other, portable, "{block:?} {packet:?}");
            }
        }
    }
}

#[test]
fn rule_blocks_agree_across_simd_widths() {
    assert_blocks_agree::<2>(true);
    assert_blocks_agree::<8>(false);
}

#[test]
fn later_rule_indices_agree_across_simd_widths() {
    let mut random = Random(3);
    for _ in 0..200 {
        let mut places = [0; BATCH_LEN];
        for place in &mut places {
            *place = random.one_of(&[0, 1, 5, 1 << 31, NO_MATCH]);
        }
        let than = random.one_of(&[0, 1, 4, 5, 1 << 31, NO_MATCH]);
        let portable = Portable.later(&places, than);
        let all = places.iter().filter(|place| **place > than).count();
        assert_eq!(usize::try_from(portable.count_ones()).unwrap(), all);
        #[cfg(target_arch = "x86_64")]
        if let Some(v3) = pulp::x86::V3::try_new() {
            assert_eq!(v3.vectorize(|| v3.later(&places, than)), portable, "{places:?} {than}");
        }
    }
}

fn assert_walks_agree<const A: usize, const N: usize>(trees: &Trees<A, N>, keys: &[FlowKey]) {
    let (mut portable, mut native) =
        (vec![Answer::NONE; keys.len()], vec![Answer::NONE; keys.len()]);
    trees.classify(Portable, Search::Decides, keys, &mut portable);
    isa::dispatch(trees, Search::Decides, keys, &mut native);
    assert_eq!(portable, native);
    assert!(portable.iter().any(|answer| *answer != Answer::NONE), "some packets match");
}

#[test]
fn tree_walks_agree_across_simd_widths() {
    for is_ipv4 in [true, false] {
        let mut random = Random(11);
        let rules = (1..=900).map(|number| random.rule(number, is_ipv4)).collect();
        let (filter, _) = Filter::from_rules(FilterId::new("tmf-1").unwrap(), rules);
        let filters = [Arc::new(filter)];
        let list = RuleList::new(&filters, Direction::Egress, is_ipv4);
        let keys: Vec<FlowKey> = (0..3000).map(|_| random.key(is_ipv4)).collect();
        match CutForest::new(&list, is_ipv4) {
            CutForest::V4(trees) => assert_walks_agree(&trees, &keys),
            CutForest::V6(trees) => assert_walks_agree(&trees, &keys),
        }
    }
}
