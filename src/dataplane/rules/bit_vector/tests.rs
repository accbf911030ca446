//! Compares the vector code for each instruction set with the scalar code.
#![cfg(target_arch = "x86_64")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pulp::x86::{V3, V4};

use super::{Answer, BitVector, ByteVector, RuleList, x86};
use crate::dataplane::flow_key::FlowKey;
use crate::model::{CidrBlock, Direction, FilterRule, PortRange, Protocol, RuleAction, RuleNumber};

/// Pseudo-random numbers, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % end
    }

    fn byte(&mut self, end: u64) -> u8 {
        u8::try_from(self.below(end)).unwrap()
    }

    fn address(&mut self, is_ipv4: bool) -> IpAddr {
        let bits = u128::from(self.below(3)) << 120 | u128::from(self.below(4)) << 97;
        if is_ipv4 {
            return Ipv4Addr::from_bits(u32::try_from(bits >> 96).unwrap()).into();
        }
        Ipv6Addr::from_bits(bits | u128::from(self.below(4)) << 40).into()
    }

    fn ports(&mut self) -> PortRange {
        let bounds = [(0, 1023), (1024, 65_535), (80, 80), (256, 511), (7, 4000), (0, 65_535)];
        let (low, high) = bounds[usize::from(self.byte(6))];
        PortRange::new("ports", low, high).unwrap()
    }

    fn rule(&mut self, number: i64, is_ipv4: bool) -> FilterRule {
        let most = if is_ipv4 { 33 } else { 129 };
        let mut block = || {
            let len = self.byte(most);
            CidrBlock::new(self.address(is_ipv4), len).unwrap()
        };
        let (source, destination) = (block(), block());
        let action = if self.below(4) == 0 { RuleAction::Reject } else { RuleAction::Accept };
        let number = RuleNumber::new(number).unwrap();
        let rule =
            FilterRule::new(Direction::Ingress, number, action, source, destination).unwrap();
        match self.below(4) {
            0 => rule,
            1 => rule.with_protocol(Protocol(1)).unwrap(),
            2 => rule.with_protocol(Protocol(6)).unwrap().with_source_ports(self.ports()).unwrap(),
            _ => {
                let rule = rule.with_protocol(Protocol(17)).unwrap();
                let rule = rule.with_source_ports(self.ports()).unwrap();
                rule.with_destination_ports(self.ports()).unwrap()
            }
        }
    }

    fn key(&mut self, is_ipv4: bool) -> FlowKey {
        let ends = [self.address(is_ipv4), self.address(is_ipv4)];
        let ports = [0, 80, 300, 1023, 1024, 65_535, 7, 4001];
        let mut port = || ports[usize::from(self.byte(8))];
        let both = (port(), port());
        let protocol = [6, 17, 1, 6][usize::from(self.byte(4))];
        let mut key = FlowKey::new(ends[0], ends[1], protocol, (self.below(5) > 0).then_some(both));
        if self.below(9) == 0 {
            key.protocol = FlowKey::UNKNOWN_PROTOCOL;
        }
        key
    }
}

fn classify_vectorized<B: ByteVector>(words: &BitVector, isa: B, keys: &[FlowKey]) -> Vec<Answer> {
    let mut answers = vec![Answer::NONE; keys.len()];
    let walk = x86::VectorizedCall { isa, words, keys, answers: &mut answers };
    pulp::NullaryFnOnce::call(walk);
    answers
}

#[test]
fn all_simd_variants_agree() {
    let mut random = Random(11);
    for round in 0..200 {
        let is_ipv4 = round % 2 == 0;
        let rules: Vec<FilterRule> =
            (1..=1 + round / 2).map(|number| random.rule(number, is_ipv4)).collect();
        let words = BitVector::new(&RuleList::of_rules(rules.iter()), is_ipv4);
        for len in [24, 32, 33, 64, 100] {
            let keys: Vec<FlowKey> = (0..len).map(|_| random.key(is_ipv4)).collect();
            let mut wanted = vec![Answer::NONE; keys.len()];
            words.classify_scalar(&keys, &mut wanted);
            if let Some(isa) = V3::try_new() {
                assert_eq!(
                    classify_vectorized(&words, isa, &keys),
                    wanted,
                    "AVX2, {} rules",
                    rules.len()
                );
            }
            if let Some(isa) = V4::try_new() {
                assert_eq!(
                    classify_vectorized(&words, isa, &keys),
                    wanted,
                    "AVX-512, {} rules",
                    rules.len()
                );
            }
        }
    }
}
