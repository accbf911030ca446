//! Prefix lengths, protocol and flags of a rule in one word of 32 bits, so that one load reads them
//! for eight rules.

/// The fields of the word. From the low byte on: source prefix length, destination prefix length,
/// protocol, flags.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms;

impl Terms {
    pub(super) const PROTOCOL: u32 = 0xff << 16;
    /// The rule allows any protocol.
    pub(super) const ANY_PROTOCOL: u32 = 1 << 24;
    /// The rule does not match packets without ports.
    pub(super) const NEEDS_PORTS: u32 = 1 << 25;
    /// The lane has no rule, so no packet matches.
    pub(super) const NO_RULE: u32 = 1 << 26;
    /// Set in the first rule of a block: the leaf continues in the next block.
    pub(super) const GOES_ON: u32 = 1 << 27;
}
