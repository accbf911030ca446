//! The UDP source port of a copy: seven bits of a hash that is equal for both directions of a flow.
//!
//! AWS documents a hash "of the inner packet - 5-tuple for ICMP/TCP/UDP, 3-tuple otherwise"; in
//! real copies only 65408 to 65535 occur, with the same port for both directions. AWS's hash is not
//! known; this hash is stable across runs, machines and versions.

use super::flow_key::{FlowKey, Ipv4Key};

/// The lowest source port of a copy; 65408 = 0xFF80.
pub const FIRST_SOURCE_PORT: u16 = 65_408;

/// The number of source ports of copies.
pub const SOURCE_PORTS: u8 = 128;

/// Seven bits (0 to 127) of the hash of the addresses, the protocol and the ports, if any.
#[inline]
#[must_use]
pub fn flow_hash(key: &FlowKey) -> u8 {
    source_port_bits(flow_hash_bits(key))
}

/// Sixteen more bits of the same hash.
#[inline]
#[must_use]
pub fn flow_tag(key: &FlowKey) -> u16 {
    tag_bits(flow_hash_bits(key))
}

/// The complete hash of a flow; it is equal for both directions.
#[inline]
pub(super) fn flow_hash_bits(key: &FlowKey) -> u64 {
    if key.is_ipv4 {
        return ipv4_flow_hash(key.ipv4());
    }
    let source = endpoint(key.source_half(), key.source_port);
    let destination = endpoint(key.destination_half(), key.destination_port);
    // A sum does not depend on the order of the two ends. Each end is mixed before.
    mix(source.wrapping_add(destination) ^ u64::from(key.protocol))
}

/// The same for IPv4, whose addresses are the upper four bytes of the halves of a key.
#[inline(always)]
pub(super) fn ipv4_flow_hash(key: Ipv4Key) -> u64 {
    let source = mix(u64::from(key.source) << 32 ^ u64::from(key.source_port));
    let destination = mix(u64::from(key.destination) << 32 ^ u64::from(key.destination_port));
    mix(source.wrapping_add(destination) ^ u64::from(key.protocol))
}

/// The bits of the hash that select the source port.
#[inline]
pub(super) const fn source_port_bits(flow: u64) -> u8 {
    let [top, ..] = flow.to_be_bytes();
    top >> 1
}

/// The bits of the hash that select the target address.
#[inline]
pub(super) const fn tag_bits(flow: u64) -> u16 {
    let [.., high, low] = flow.to_be_bytes();
    u16::from_be_bytes([high, low])
}

#[inline]
fn endpoint(address: [u8; 16], port: u16) -> u64 {
    let [a, b, c, d, e, f, g, h, low @ ..] = address;
    let high = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let low = u64::from_be_bytes(low);
    mix(high ^ low.rotate_left(29) ^ u64::from(port))
}

/// Two rounds of multiply and fold, which spread each bit over the word.
#[inline(always)]
pub(super) const fn mix(mut word: u64) -> u64 {
    word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word ^= word >> 32;
    word = word.wrapping_mul(0xd6e8_feb8_6659_fd93);
    word ^ (word >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(source: [u8; 4], destination: [u8; 4], ports: (u16, u16)) -> FlowKey {
        let mut addresses = [0; 32];
        addresses[..4].copy_from_slice(&source);
        addresses[16..20].copy_from_slice(&destination);
        FlowKey {
            addresses,
            source_port: ports.0,
            destination_port: ports.1,
            protocol: 6,
            has_ports: true,
            is_ipv4: true,
        }
    }

    #[test]
    fn both_directions_of_a_flow_have_the_same_hash() {
        let there = key([10, 0, 0, 5], [192, 0, 2, 1], (40_000, 443));
        let back = key([192, 0, 2, 1], [10, 0, 0, 5], (443, 40_000));
        assert_eq!(flow_hash(&there), flow_hash(&back));
    }

    #[test]
    fn the_flow_hash_is_stable_across_versions() {
        // Golden captures contain this hash: a change would change the expected bytes of all users.
        assert_eq!(flow_hash(&key([10, 0, 0, 5], [192, 0, 2, 1], (40_000, 443))), 97);
    }

    #[test]
    fn similar_flows_use_all_source_ports() {
        let mut seen = [0_u32; 128];
        for port in 0..12_800 {
            let hash = flow_hash(&key([10, 0, 0, 5], [192, 0, 2, 1], (port, 443)));
            seen[usize::from(hash)] += 1;
        }
        assert!(seen.iter().all(|&n| (50..160).contains(&n)), "{seen:?}");
    }
}
