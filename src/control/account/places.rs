//! What real addresses the names of targets stand for, and where copies may go at all.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::refused::Refused;
use crate::model::CidrBlock;

/// Addresses as the user pinned them, and the networks that copies are allowed into.
#[derive(Debug, Clone, Default)]
pub struct Places {
    pinned: HashMap<String, Vec<SocketAddr>>,
    /// Everywhere where there is none.
    allowed: Vec<CidrBlock>,
}

impl Places {
    /// The ARN of a load balancer or the id of an endpoint stands for these addresses.
    pub fn pin(&mut self, name: String, addresses: Vec<SocketAddr>) {
        self.pinned.insert(name, addresses);
    }

    /// Whether the name stands for addresses.
    #[must_use]
    pub fn is_pinned(&self, name: &str) -> bool {
        self.pinned.contains_key(name)
    }

    /// Copies may go into that network; once there is one, into no other.
    pub fn allow(&mut self, block: CidrBlock) {
        self.allowed.push(block);
    }

    pub(super) fn of(&self, name: &str) -> Option<Vec<SocketAddr>> {
        self.pinned.get(name).cloned()
    }

    /// Whether copies may go there.
    ///
    /// # Errors
    /// [`Refused`] with the networks that they may go into.
    pub fn may_take(&self, address: IpAddr) -> Result<(), Refused> {
        if self.allowed.is_empty() || self.allowed.iter().any(|block| block.contains(address)) {
            return Ok(());
        }
        let blocks: Vec<String> = self.allowed.iter().map(ToString::to_string).collect();
        let message = format!(
            "Copies may not go to {address}: only addresses in {} are allowed.",
            blocks.join(", ")
        );
        Err(Refused::new("InvalidTrafficMirrorTarget", message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_list_copies_go_anywhere() {
        let mut places = Places::default();
        places.may_take([192, 0, 2, 1].into()).unwrap();
        places.allow(CidrBlock::parse("--allow-target", "10.0.0.0/8").unwrap().0);
        places.may_take([10, 1, 2, 3].into()).unwrap();
        let refused = places.may_take([192, 0, 2, 1].into()).unwrap_err();
        assert!(refused.message.contains("192.0.2.1: only addresses in 10.0.0.0/8"), "{refused}");
        assert!(places.may_take([1; 16].into()).is_err());
    }
}
