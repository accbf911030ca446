//! The fields of plain IPv4 frames as a structure of arrays: one array for each field, so that one
//! instruction processes this field of several frames.
//!
//! The loops have no branches, so the compiler can vectorize them. Each loop is compiled for
//! AVX-512, for AVX2 and for the base instruction set; the processor selects the version at run
//! time (`pulp`).

use pulp::NullaryFnOnce;

use super::aws_exclusions::AwsExclusions;
use super::flow_hash::ipv4_flow_hash;
use super::flow_key::Ipv4Key;
use super::frame::LOOKUP_BATCH_LEN;
use super::loop_guard::LoopGuard;

/// One field of each frame in a lane.
type Column<T> = [T; LOOKUP_BATCH_LEN];

/// Addresses, ports and protocols of the frames in a lane, in host byte order.
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
    /// Sets the fields of the frame at this index of the lane.
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

    /// Whether any of the first `len` frames may be a copy (loop guard) or may belong to an AWS
    /// service. May be true for frames that are neither.
    pub(super) fn has_special(
        &self,
        len: usize,
        exclusions: &AwsExclusions,
        guard: &LoopGuard,
    ) -> bool {
        vectorized(HasSpecial { fields: self, len, exclusions, guard })
    }

    /// Writes the flow hashes of the first `hashes.len()` frames to `hashes`.
    pub(super) fn flow_hashes(&self, hashes: &mut [u64]) {
        vectorized(FlowHashes { fields: self, hashes });
    }

    #[inline(always)]
    fn keys(&self, len: usize) -> impl Iterator<Item = Ipv4Key> {
        let addresses = first(&self.sources, len).iter().zip(first(&self.destinations, len));
        let protocols = first(&self.protocols, len);
        addresses.zip(self.ports(len)).zip(protocols).map(|((addresses, ports), protocol)| {
            Ipv4Key {
                source: *addresses.0,
                destination: *addresses.1,
                source_port: *ports.0,
                destination_port: *ports.1,
                protocol: *protocol,
            }
        })
    }

    #[inline(always)]
    fn ports(&self, len: usize) -> impl Iterator<Item = (&u16, &u16)> {
        first(&self.source_ports, len).iter().zip(first(&self.destination_ports, len))
    }
}

#[inline(always)]
fn first<T>(column: &Column<T>, len: usize) -> &[T] {
    column.get(..len).unwrap_or(column)
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
    len: usize,
    exclusions: &'a AwsExclusions,
    guard: &'a LoopGuard,
}

impl NullaryFnOnce for HasSpecial<'_> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        let Self { fields, len, exclusions, guard } = self;
        let service =
            fields.keys(len).fold(false, |any, key| any | exclusions.may_be_ipv4_service(key));
        let copy = guard.is_enabled()
            && fields.keys(len).fold(false, |any, key| any | guard.may_be_ipv4_copy(key));
        service | copy
    }
}

struct FlowHashes<'a> {
    fields: &'a Ipv4Fields,
    hashes: &'a mut [u64],
}

impl NullaryFnOnce for FlowHashes<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let keys = self.fields.keys(self.hashes.len());
        for (hash, key) in self.hashes.iter_mut().zip(keys) {
            *hash = ipv4_flow_hash(key);
        }
    }
}
