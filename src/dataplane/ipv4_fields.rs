//! The fields of plain IPv4 frames as a structure of arrays, so that one instruction processes the
//! field of several frames.
//!
//! The loops have no branches and a constant length, and the compiler turns them into vector
//! instructions: of AVX-512 or AVX2 where the processor has them, of the base instruction set
//! otherwise (`pulp` selects a version at run time). Entries that are not in use are computed too,
//! and ignored.

use pulp::NullaryFnOnce;

use super::aws_exclusions::AwsExclusions;
use super::flow_hash::ipv4_flow_hash;
use super::flow_key::Ipv4Key;
use super::frame::LOOKUP_BATCH_LEN;
use super::loop_guard::LoopGuard;

/// One field of each frame of a batch.
type Column<T> = [T; LOOKUP_BATCH_LEN];

/// Addresses, ports and protocols, as numbers.
#[derive(Debug)]
pub(super) struct Ipv4Fields {
    sources: Column<u32>,
    destinations: Column<u32>,
    source_ports: Column<u16>,
    destination_ports: Column<u16>,
    protocols: Column<u16>,
}

impl Default for Ipv4Fields {
    fn default() -> Self {
        Self {
            sources: [0; LOOKUP_BATCH_LEN],
            destinations: [0; LOOKUP_BATCH_LEN],
            source_ports: [0; LOOKUP_BATCH_LEN],
            destination_ports: [0; LOOKUP_BATCH_LEN],
            protocols: [0; LOOKUP_BATCH_LEN],
        }
    }
}

impl Ipv4Fields {
    /// Sets the fields of the frame at an index of the batch.
    #[inline(always)]
    pub(super) fn set(&mut self, index: usize, key: Ipv4Key) {
        let columns = (
            self.sources.get_mut(index),
            self.destinations.get_mut(index),
            self.source_ports.get_mut(index),
            self.destination_ports.get_mut(index),
            self.protocols.get_mut(index),
        );
        if let (Some(source), Some(destination), Some(from), Some(to), Some(protocol)) = columns {
            (*source, *destination) = (key.source, key.destination);
            (*from, *to, *protocol) = (key.source_port, key.destination_port, key.protocol);
        }
    }

    /// Whether any entry may be a copy or belong to a service of AWS. An entry that is not in use
    /// may cause a wrong "yes".
    pub(super) fn has_special(&self, exclusions: &AwsExclusions, guard: &LoopGuard) -> bool {
        vectorized(HasSpecial { fields: self, exclusions, guard })
    }

    /// The flow hash of each entry.
    pub(super) fn flow_hashes(&self, hashes: &mut Column<u64>) {
        vectorized(FlowHashes { fields: self, hashes });
    }

    #[inline(always)]
    fn keys(&self) -> impl Iterator<Item = Ipv4Key> {
        let addresses = self.sources.iter().zip(&self.destinations);
        let ports = self.source_ports.iter().zip(&self.destination_ports);
        addresses.zip(ports).zip(&self.protocols).map(|((addresses, ports), protocol)| Ipv4Key {
            source: *addresses.0,
            destination: *addresses.1,
            source_port: *ports.0,
            destination_port: *ports.1,
            protocol: *protocol,
        })
    }
}

/// Runs a loop with the widest vector instructions of the processor.
#[inline(always)]
fn vectorized<L: NullaryFnOnce>(vector_loop: L) -> L::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(isa) = pulp::x86::V4::try_new() {
            return isa.vectorize(vector_loop);
        }
        if let Some(isa) = pulp::x86::V3::try_new() {
            return isa.vectorize(vector_loop);
        }
    }
    vector_loop.call()
}

struct HasSpecial<'a> {
    fields: &'a Ipv4Fields,
    exclusions: &'a AwsExclusions,
    guard: &'a LoopGuard,
}

impl NullaryFnOnce for HasSpecial<'_> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        let Self { fields, exclusions, guard } = self;
        let service =
            fields.keys().fold(false, |any, key| any | exclusions.may_be_ipv4_service(key));
        let ports = fields.source_ports.iter().zip(&fields.destination_ports);
        let copy = guard.is_enabled()
            && ports.fold(false, |any, (from, to)| any | guard.has_suspect_port(*from, *to));
        service | copy
    }
}

struct FlowHashes<'a> {
    fields: &'a Ipv4Fields,
    hashes: &'a mut Column<u64>,
}

impl NullaryFnOnce for FlowHashes<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (hash, key) in self.hashes.iter_mut().zip(self.fields.keys()) {
            *hash = ipv4_flow_hash(key);
        }
    }
}
