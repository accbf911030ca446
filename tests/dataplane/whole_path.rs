//! Compares the whole path of a packet with the oracle, byte for byte, for any configuration and
//! frames.

use proptest::prelude::*;
use testkit::oracle::compare::compare;
use testkit::oracle::encapsulated::encapsulated_frame;
use testkit::oracle::generate::{Entropy, frame, registry};
use testkit::oracle::{self, FrameOutcome, Input, Mode, expected_outcomes};
use traffic_mirror::model::Direction;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_data_plane_matches_the_oracle(
        choices in prop::collection::vec(any::<u8>(), 0..1_500),
        frame_choices in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 1..100),
        forced in prop_oneof![
            4 => Just(None), 1 => Just(Some(Direction::Ingress)), 1 => Just(Some(Direction::Egress))
        ],
    ) {
        let registry = registry(&mut Entropy(&choices));
        let inputs = frame_choices.iter().map(|bytes| frame(&mut Entropy(bytes)));
        let inputs: Vec<Input> = inputs.collect();
        compare(&registry, Mode::Replay(forced), &inputs);
    }

    /// For live mirroring, the content of tunnels counts too.
    #[test]
    fn a_live_mirror_matches_the_oracle(
        choices in prop::collection::vec(any::<u8>(), 0..1_500),
        frame_choices in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..50),
    ) {
        let registry = registry(&mut Entropy(&choices));
        let inputs = frame_choices.iter().map(|bytes| encapsulated_frame(&mut Entropy(bytes)));
        let inputs: Vec<Input> = inputs.collect();
        compare(&registry, Mode::Live, &inputs);
    }
}

proptest! {
    #[test]
    fn parsing_any_bytes_matches_the_oracle(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        oracle::compare::compare_parsing(&bytes);
    }
}

/// The properties above cover only outcomes that the generator reaches.
#[test]
fn the_generator_reaches_every_outcome() {
    let mut counts = std::collections::BTreeMap::new();
    let mut state = 1_u64;
    let mut bytes = |len: usize| -> Vec<u8> {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33).to_le_bytes()[0]
        };
        (0..len).map(|_| next()).collect()
    };
    for _ in 0..300 {
        let registry = registry(&mut Entropy(&bytes(1_000)));
        for _ in 0..100 {
            let replayed =
                expected_outcomes(&registry, Mode::Replay(None), &frame(&mut Entropy(&bytes(100))));
            let live = expected_outcomes(
                &registry,
                Mode::Live,
                &encapsulated_frame(&mut Entropy(&bytes(200))),
            );
            for (_, _, outcome) in replayed.into_iter().chain(live) {
                let label = match outcome {
                    FrameOutcome::Mirrored { rule_number: None, .. } => "mirrored by amazon-dns",
                    FrameOutcome::Mirrored { truncated: true, .. } => "mirrored and truncated",
                    FrameOutcome::Mirrored { .. } => "mirrored",
                    FrameOutcome::Dropped { .. } => "dropped",
                    FrameOutcome::NotMirrored(reason) => reason,
                };
                *counts.entry(label).or_insert(0) += 1;
            }
        }
    }
    assert_eq!(counts.len(), 13, "{counts:?}");
    assert!(counts.values().all(|&count| count > 10), "{counts:?}");
}
