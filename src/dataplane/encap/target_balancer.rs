//! Chooses which of several target addresses receives a flow, by a symmetric consistent hash.
//!
//! Flows are divided into slots by their hash. Rendezvous hashing (Thaler and Ravishankar, 1998)
//! gives each slot to the address with the highest weight there. Therefore the order of the
//! addresses does not matter, and adding or removing an address moves only the flows of that
//! address. Both directions of a flow are in one slot.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::dataplane::flow_hash::mix;

/// The number of slots.
const SLOTS: u16 = 8192;

/// The address of each slot.
#[derive(Debug)]
pub(super) struct TargetBalancer {
    by_slot: Vec<u8>,
}

impl TargetBalancer {
    fn new(addresses: &[SocketAddr]) -> Self {
        let seeds: Vec<u64> = addresses.iter().map(seed).collect();
        let by_slot = (0..SLOTS).map(|slot| {
            let weights = (0..=u8::MAX).zip(&seeds).map(|(index, seed)| {
                let weight = mix(seed ^ mix(u64::from(slot).wrapping_add(1)));
                // The seed breaks ties independently of the order of the addresses.
                (weight, *seed, index)
            });
            weights.max().map_or(0, |(.., index)| index)
        });
        Self { by_slot: by_slot.collect() }
    }

    /// The index of the address of each slot.
    #[cfg(feature = "live")]
    pub(super) fn slots(&self) -> &[u8] {
        &self.by_slot
    }

    /// Index of the address that receives the flow.
    #[inline]
    pub(super) fn address_index(&self, flow_tag: u16) -> usize {
        self.by_slot.get(usize::from(flow_tag % SLOTS)).map_or(0, |index| usize::from(*index))
    }
}

/// A hash of an address that is the same on all machines.
fn seed(address: &SocketAddr) -> u64 {
    let fold = |word: u64, byte: u8| (word ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let bytes = ip.into_iter().chain(address.port().to_be_bytes());
    mix(bytes.fold(0xcbf2_9ce4_8422_2325, fold))
}

/// The balancers of a table, by their addresses. Those of an earlier table are reused.
#[derive(Debug, Default)]
pub(in crate::dataplane) struct TargetBalancers(HashMap<Vec<SocketAddr>, Arc<TargetBalancer>>);

impl TargetBalancers {
    /// The balancer of these addresses: the one of `previous` if it has one, else a new one.
    pub(super) fn get(&mut self, addresses: &[SocketAddr], previous: &Self) -> Arc<TargetBalancer> {
        if let Some(known) = self.0.get(addresses) {
            return Arc::clone(known);
        }
        let known = previous.0.get(addresses).cloned();
        let balancer = known.unwrap_or_else(|| Arc::new(TargetBalancer::new(addresses)));
        self.0.insert(addresses.to_vec(), Arc::clone(&balancer));
        balancer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(count: u8) -> Vec<SocketAddr> {
        (1..=count).map(|last| SocketAddr::from(([192, 0, 2, last], 4789))).collect()
    }

    #[test]
    fn flows_are_balanced_evenly() {
        for count in 2..=8 {
            let balancer = TargetBalancer::new(&addresses(count));
            let mut taken = vec![0_i64; usize::from(count)];
            (0..=u16::MAX).for_each(|tag| taken[balancer.address_index(tag)] += 1);
            let fair = 65_536 / i64::from(count);
            assert!(taken.iter().all(|one| (one - fair).abs() < fair / 5), "{taken:?}");
        }
    }

    #[test]
    fn removing_an_address_moves_only_its_flows() {
        let all = addresses(5);
        let mut fewer = all.clone();
        let gone = fewer.remove(2);
        fewer.reverse();
        let (before, after) = (TargetBalancer::new(&all), TargetBalancer::new(&fewer));
        for tag in 0..SLOTS {
            let (old, new) = (all[before.address_index(tag)], fewer[after.address_index(tag)]);
            assert!(old == gone || old == new, "{old} {new}");
        }
    }
}
