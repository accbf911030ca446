//! The terms of traffic mirroring: sessions, filters, rules, targets, network interfaces.
//!
//! What belongs here: values that a user gives. They are valid once they exist, because `new` and
//! `parse` return an [`InvalidValue`] for everything else, with the field, the value and the
//! expected values. What does not belong here: packets, files, sockets, and checks that involve
//! several resources (`control`). This module imports no other module of the crate.

mod cidr;
mod direction;
mod filter;
mod ids;
mod interface;
mod invalid;
mod mac;
mod numbers;
mod protocol;
mod rate;
mod session;
mod settings;
mod target;

pub use cidr::CidrBlock;
pub use direction::Direction;
pub use filter::{Filter, FilterRule, RuleAction};
pub use ids::{FilterId, FilterRuleId, NetworkInterfaceId, SessionId, TargetId};
pub use interface::{InterfacePin, NetworkInterface};
pub use invalid::InvalidValue;
pub use mac::MacAddress;
pub use numbers::{Mtu, PacketLength, RuleNumber, SessionNumber, VirtualNetworkId};
pub use protocol::{PortRange, Protocol};
pub use rate::{Rate, Ratio};
pub use session::{Session, Tags};
pub use settings::Settings;
pub use target::{
    ADDRESS_TAG, AddressSources, GENEVE_PORT, MAX_ADDRESSES, Target, TargetKind, VXLAN_PORT,
    check_load_balancer_addresses, embedded_ipv4, non_host_address_kind, parse_target_address,
    parse_target_addresses,
};
