//! Generated rules and packets. The same seed gives the same rules and packets on every machine and
//! in every version, so that measurements of two versions can be compared.
//!
//! What belongs here: how the fields of generated rules and packets are distributed. What does not:
//! sessions, and frames.

mod mix;
mod networks;
mod packets;
mod random;
mod rule_shape;
mod rules;

pub use mix::Mix;
pub use packets::PacketOptions;
pub(super) use packets::headers;
pub use rule_shape::{AddressFamily, RuleShape};
pub(super) use rules::rules;
