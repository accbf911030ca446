//! What tests ask of frames: which of them are a test's own, and whether two heaps are the same.

use std::collections::HashMap;

const ICMPV6: u8 = 58;

/// Whether a frame is IP and nothing that the kernel says by itself, which passes at any time.
pub(crate) fn is_of_a_test(frame: &[u8]) -> bool {
    match frame.get(12..14) {
        Some([0x08, 0x00]) => true,
        Some([0x86, 0xdd]) => {
            let speaks_icmp = frame[20] == ICMPV6;
            // Hop-by-hop options stand in front of multicast listener reports; 133 to 137 is
            // neighbour discovery.
            frame[20] != 0 && !(speaks_icmp && (133..=137).contains(&frame[54]))
        }
        _ => false,
    }
}

pub(crate) fn of_a_test(frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    frames.into_iter().filter(|frame| is_of_a_test(frame)).collect()
}

/// Both heaps have the same frames, each as often.
pub(crate) fn assert_same(mirrored: &[Vec<u8>], wire: &[Vec<u8>]) {
    let mut counts: HashMap<&[u8], i64> = HashMap::new();
    wire.iter().for_each(|frame| *counts.entry(frame).or_default() += 1);
    mirrored.iter().for_each(|frame| *counts.entry(frame).or_default() -= 1);
    let missing: i64 = counts.values().filter(|count| **count > 0).sum();
    let extra: i64 = counts.values().filter(|count| **count < 0).sum();
    let sample = |is_missing: bool| {
        let found = counts.iter().find(|(_, count)| **count != 0 && (**count > 0) == is_missing);
        found.map(|(frame, _)| (frame.len(), hex(&frame[..frame.len().min(90)])))
    };
    assert!(
        missing == 0 && extra == 0,
        "{} mirrored, {} on the wire: {missing} missing, as {:?}; {extra} extra, as {:?}",
        mirrored.len(),
        wire.len(),
        sample(true),
        sample(false)
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
