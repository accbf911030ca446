//! Compares the headers that the programs prepend with those of `OuterTemplate`.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use crate::bpf::{Code, Reference};

use crate::dataplane::kernel::random_rules::RandomRules;
use crate::dataplane::kernel::{
    CONTEXT_LEN, HeaderKind, KernelMarks, KernelTable, MirrorState, PATH_LEN, PathRoute, Place,
    encapsulator, flow_fields_program,
};
use crate::dataplane::{
    CompiledSession, CompiledTarget, InnerBytes, InterfaceIndex, MirrorTable, TableParts,
    TargetIndex,
};
use crate::io::sys::bpf::{Map, MapKind, Program};
use crate::model::{
    Filter, FilterId, MacAddress, NetworkInterface, NetworkInterfaceId, PacketLength, SessionId,
    SessionNumber, TargetId, VirtualNetworkId,
};

const MARKS: KernelMarks = KernelMarks { own: 0x4d69_7252 };
/// The mark of a clone under way.
const TRANSIT: u32 = !MARKS.own;
/// `TCX_NEXT`.
const NEXT: u32 = u32::MAX;

struct Programs {
    flow_fields: Program,
    encapsulator: Program,
    context: Map,
}

impl Programs {
    /// `None` without the capability to load programs.
    fn load() -> Option<Self> {
        // The programs do not see that it is not per-CPU.
        let context = match Map::create(MapKind::Array, CONTEXT_LEN, 1) {
            Ok(map) => map,
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                eprintln!("NOT RUN: loading eBPF programs needs CAP_BPF");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let flow_fields = load(&flow_fields_program(), &context);
        let at_device = load(&encapsulator(Place::EgressDevice, MARKS).unwrap(), &context);
        load(&encapsulator(Place::PadPort, MARKS).unwrap(), &context);
        Some(Self { flow_fields, encapsulator: at_device, context })
    }

    /// The copy of a frame whose first eight bytes are the hash of its flow.
    fn copy(&self, entry: &[u8; PATH_LEN], frame: &[u8]) -> Vec<u8> {
        let mut context = [entry.as_slice(), &[0; CONTEXT_LEN - PATH_LEN]].concat();
        context[..4].copy_from_slice(&1_u32.to_ne_bytes());
        self.context.update(0, &context).unwrap();
        self.flow_fields.test_run(frame).unwrap();
        let (result, copy) = self.encapsulator.test_run_with_mark(frame, TRANSIT).unwrap();
        assert_eq!(result, NEXT, "{} bytes", frame.len());
        copy
    }
}

fn load(code: &Code, context: &Map) -> Program {
    let resolve = |_: Reference| Ok::<i32, ()>(context.descriptor().as_raw_fd());
    match Program::load(&code.resolved(resolve).unwrap(), code.functions()) {
        Ok(program) => {
            super::test_program::print_size(&program, code.instructions().len());
            program
        }
        Err(rejected) => {
            let end: Vec<&str> = rejected.log.lines().rev().take(60).collect();
            panic!("{rejected}, the last line first: {end:#?}");
        }
    }
}

fn octets<const N: usize>(random: &mut RandomRules) -> [u8; N] {
    std::array::from_fn(|_| u8::try_from(random.below(256)).unwrap())
}

fn address(kind: HeaderKind, random: &mut RandomRules) -> IpAddr {
    match kind {
        HeaderKind::VxlanOverIpv4 | HeaderKind::GeneveOverIpv4 => octets::<4>(random).into(),
        HeaderKind::VxlanOverIpv6 | HeaderKind::GeneveOverIpv6 => octets::<16>(random).into(),
    }
}

/// A table with one session whose copies have headers of this kind.
fn table(kind: HeaderKind, random: &mut RandomRules) -> KernelTable {
    let in_geneve = matches!(kind, HeaderKind::GeneveOverIpv4 | HeaderKind::GeneveOverIpv6);
    let number = |random: &mut RandomRules, below| i64::try_from(random.below(below)).unwrap();
    let target = CompiledTarget {
        id: TargetId::new("tmt-1").unwrap(),
        address: Some(SocketAddr::new(address(kind, random), 6081)),
        further_addresses: Vec::new(),
        gateway_endpoint: in_geneve.then(|| u64::from_ne_bytes(octets(random))),
        mtu: None,
        rate_limit: None,
    };
    let session = CompiledSession {
        id: SessionId::from_seed(1),
        number: SessionNumber::new(1).unwrap(),
        interface: InterfaceIndex::FIRST,
        target: TargetIndex::FIRST,
        filter: Arc::new(Filter::new(FilterId::new("tmf-1").unwrap())),
        packet_length: Some(PacketLength::new(1_000 + number(random, 1_000)).unwrap()),
        virtual_network_id: VirtualNetworkId::new(number(random, 1 << 24)).unwrap(),
        source_address: address(kind, random),
        rate_limit: None,
    };
    let id = format!("eni-{}", number(random, 1_000));
    let interface = NetworkInterface::new(NetworkInterfaceId::new(&id).unwrap());
    let parts = TableParts {
        interfaces: vec![Arc::new(interface)],
        targets: vec![target],
        sessions: vec![session],
        ..TableParts::default()
    };
    KernelTable::new(&MirrorTable::new(parts)).unwrap()
}

/// Where the UDP checksum over the inner frame is.
const fn udp_checksum(kind: HeaderKind) -> Option<usize> {
    match kind {
        HeaderKind::VxlanOverIpv4 | HeaderKind::GeneveOverIpv4 => None,
        HeaderKind::VxlanOverIpv6 => Some(60),
        HeaderKind::GeneveOverIpv6 => Some(148),
    }
}

/// Compares the copies of random frames; some are longer than PacketLength.
fn compare(programs: &Programs, kind: HeaderKind, seed: u64) {
    let mut random = RandomRules::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let table = table(kind, &mut random);
    let path = &table.paths()[0];
    let macs: [[u8; 6]; 2] = [octets(&mut random), octets(&mut random)];
    let [source_mac, next_hop_mac] = macs.map(MacAddress::new);
    let route =
        PathRoute { device_index: 1, source_mac, next_hop_mac, source: path.source, mtu: 9_000 };
    let entry = path.usable(&route);
    assert_eq!(entry.kind, kind);
    let max_inner_len = usize::try_from(entry.max_inner_len).unwrap();
    let mut bytes = entry.to_bytes(MirrorState::Sending);
    for round in 0..60 {
        let len = 60 + if round % 3 == 0 { random.below(2_500) } else { random.below(600) };
        let fill = [0, 255][round % 2];
        let mut frame = vec![fill; len];
        let is_random = random.below(8) > 0;
        frame.iter_mut().filter(|_| is_random).for_each(|byte| *byte = octets::<1>(&mut random)[0]);
        frame[..8].copy_from_slice(&octets::<8>(&mut random));
        let hash = u64::from_ne_bytes(*frame.first_chunk().unwrap());
        let flow_hash = u8::try_from(hash >> 57).unwrap();
        let flow_tag = u16::try_from(hash & 0xffff).unwrap();
        let header = |frame: &[u8]| {
            let inner = InnerBytes::from(&frame[..len.min(max_inner_len)]);
            path.template().outer_header(inner, flow_hash, flow_tag)
        };
        if let Some(at) = udp_checksum(kind).filter(|_| round % 4 == 0) {
            // A frame whose checksum would be zero.
            frame[8..10].fill(0);
            let checksum = header(&frame)[at..at + 2].to_vec();
            frame[8..10].copy_from_slice(&checksum);
            assert_eq!(header(&frame)[at..at + 2], [0xff; 2]);
        }
        let inner = &frame[..len.min(max_inner_len)];
        let mut expected = [&*header(&frame), inner].concat();
        expected[..6].copy_from_slice(&macs[1]);
        expected[6..12].copy_from_slice(&macs[0]);
        if kind == HeaderKind::VxlanOverIpv4 {
            // The tap itself writes the port of this kind.
            bytes[32 + 34..][..2].copy_from_slice(&expected[34..36]);
        }
        let copy = programs.copy(&bytes, &frame);
        let differences: Vec<usize> = (0..expected.len().min(copy.len()))
            .filter(|index| copy[*index] != expected[*index])
            .collect();
        assert!(
            copy.len() == expected.len() && differences.is_empty(),
            "{kind:?}, seed {seed}, {len} bytes: {} instead of {} bytes, differences at {differences:?}",
            copy.len(),
            expected.len(),
        );
    }
}

#[test]
fn the_headers_of_each_kind_are_those_of_user_space() {
    let Some(programs) = Programs::load() else { return };
    for kind in [
        HeaderKind::VxlanOverIpv4,
        HeaderKind::VxlanOverIpv6,
        HeaderKind::GeneveOverIpv4,
        HeaderKind::GeneveOverIpv6,
    ] {
        for seed in 1..=25 {
            compare(&programs, kind, seed);
        }
    }
}
