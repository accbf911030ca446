//! Rules and packets that nobody has to bring: drawn by a seed, the same on every machine.
//!
//! What belongs here: what such rules and packets look like. What does not: sessions, and frames.

mod flags;
mod mix;
mod networks;
mod packets;
mod random;
mod rule_shape;
mod rules;

pub(super) use flags::GenerateFlags;
pub(super) use mix::Mix;
pub(super) use packets::{PacketOptions, headers};
pub(super) use rule_shape::{AddressFamily, RuleShape};
pub(super) use rules::rules;
