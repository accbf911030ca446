//! Selects the frames that tests sent from recorded frames, and compares two sets of frames.

use std::collections::{BTreeMap, HashMap};

const TCP: u8 = 6;
const ICMPV6: u8 = 58;

/// Whether a frame is IP and not a message that the kernel sends at any time.
pub(crate) fn is_of_a_test(frame: &[u8]) -> bool {
    match frame.get(12..14) {
        Some([0x08, 0x00]) => true,
        Some([0x86, 0xdd]) => {
            let is_icmpv6 = frame[20] == ICMPV6;
            // Hop-by-hop options precede multicast listener reports; 133 to 137 is
            // neighbour discovery.
            frame[20] != 0 && !(is_icmpv6 && (133..=137).contains(&frame[54]))
        }
        _ => false,
    }
}

pub(crate) fn of_a_test(frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    frames.into_iter().filter(|frame| is_of_a_test(frame)).collect()
}

/// Asserts that both sets have the same frames, each equally often.
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

/// The sequence number of each TCP segment with a payload, by flow.
pub(crate) fn sequences(frames: &[Vec<u8>]) -> BTreeMap<Vec<u8>, Vec<u32>> {
    let mut flows: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
    for frame in frames {
        let (flow, tcp) = match frame[12..14] {
            [0x08, 0x00] if frame[23] == TCP => (26..38, 34),
            [0x86, 0xdd] if frame[20] == TCP => (22..58, 54),
            _ => continue,
        };
        let header_len = usize::from(frame[tcp + 12] >> 4) * 4;
        if frame.len() > tcp + header_len {
            let sequence = u32::from_be_bytes(frame[tcp + 4..tcp + 8].try_into().unwrap());
            flows.entry(frame[flow].to_vec()).or_default().push(sequence);
        }
    }
    flows
}

/// RFC 9293, section 3.4: sequence numbers wrap around.
pub(crate) fn is_in_order(sequences: &[u32]) -> bool {
    sequences.is_sorted_by(|a, b| b.wrapping_sub(*a) < 1 << 31)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
