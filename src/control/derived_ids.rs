//! Ids and numbers that are derived from names, so that they are the same in every run.

use crate::model::{FilterId, FilterRule, FilterRuleId, Session, SessionId};

/// The id of a session that has none, derived from its interface and number.
pub(super) fn derived_session_id(session: &Session) -> SessionId {
    SessionId::from_seed(wide_hash(session.network_interface_id.as_str(), session.number.value()))
}

/// The id of a rule that has none, derived from its filter, direction and number.
pub(super) fn derived_rule_id(filter: &FilterId, rule: &FilterRule) -> FilterRuleId {
    let name = format!("{filter}\0{}", rule.direction());
    FilterRuleId::from_seed(wide_hash(&name, rule.number().value()))
}

/// An id in AWS's format, a prefix and 17 hexadecimal digits, that is derived from a name.
pub(super) fn derived_hex_id(prefix: &str, name: &str) -> String {
    let low = wide_hash(&format!("{prefix}\0{name}"), 0) & ((1 << 68) - 1);
    format!("{prefix}{low:017x}")
}

fn wide_hash(name: &str, number: u16) -> u128 {
    u128::from(hash(1, name, number)) << 64 | u128::from(hash(2, name, number))
}

/// A stable pseudo-random number: FNV-1a over the name, then the finalizer of MurmurHash3.
/// Captures contain values derived from it, and hashes of libraries may change between versions.
pub(super) fn hash(seed: u64, name: &str, number: u16) -> u64 {
    let bytes = name.bytes().chain([0]).chain(number.to_be_bytes());
    let mut word = fnv_1a(bytes.chain(seed.to_be_bytes()));
    word = (word ^ word >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    word = (word ^ word >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ word >> 33
}

/// The 64-bit hash FNV-1a (Fowler, Noll and Vo).
pub(super) fn fnv_1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
