//! Prefix lengths, protocol and flags of a rule in one word.

/// Prefix lengths, protocol and flags of a rule in one word: source in the low byte, then
/// destination, protocol, flags.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms;

impl Terms {
    pub(super) const PROTOCOL: u32 = 0xff << 16;
    /// Any protocol will do.
    pub(super) const ANY_PROTOCOL: u32 = 1 << 24;
    /// A packet without ports does not match.
    pub(super) const NEEDS_PORTS: u32 = 1 << 25;
    /// No packet matches: there is no rule.
    pub(super) const NO_RULE: u32 = 1 << 26;
    /// Of the first rule of a block: the leaf goes on with the next block.
    pub(super) const GOES_ON: u32 = 1 << 27;
}
