//! The lanes of plain frames: the fast path, which nearly all traffic takes.
//!
//! A frame is *plain* if it is Ethernet without VLAN tags, IPv4 without options or IPv6 without
//! extension headers, TCP or UDP with both ports, and not a later fragment. Its fields are then at
//! fixed offsets from the start of the frame, in bytes:
//!
//! ```text
//! Ethernet       IPv4                             IPv6                           ports
//! 12 EtherType   14 version and IHL: 45           14 version: 6                  34 over IPv4
//!                16 total length: 24 or more      18 payload length: 4 or more   54 over IPv6
//!                20 fragment offset: 0            20 next header: 6, 17
//!                23 protocol: 6, 17
//! ```
//!
//! The plain frames of a batch are sorted into lanes, one for each direction and address family of
//! one interface. A lane has one rule set, which evaluates all its keys in one call. The other
//! frames of the batch take the general path (`lookup_batch`), and do not slow down the plain
//! frames. Both paths give the same results.
//!
//! Outcomes are recorded in the order of the frames. Therefore successive frames in one lane are a
//! *run*. Example:
//!
//! ```text
//! frame  0 ingress IPv4   lane 0, key 0   first run: frames 0 and 1, keys 0 and 1 of lane 0
//!        1 ingress IPv4   lane 0, key 1
//!        2 ARP            a lookup of the general path
//!        3 egress IPv4    lane 2, key 0   second run: frame 3, key 0 of lane 2
//!        4 ingress IPv4   lane 0, key 2   third run: frame 4, key 2 of lane 0
//! ```

use super::compiled_rules::RuleSetIndex;
use super::flow_hash::flow_hash_bits;
use super::flow_key::{FlowKey, Ipv4Key};
use super::frame::{Frame, LOOKUP_BATCH_LEN, Medium};
use super::index::InterfaceIndex;
use super::interface_lookup::FrameOwner;
use super::ipv4_fields::Ipv4Fields;
use super::lookup_batch::LookupBatch;
use super::rules::Answer;
use super::table::{MirrorTable, Precheck};
use super::verdict::MirrorOutcome;
use crate::model::Direction;

/// The number of lanes: one for each rule set of an interface. The order is ingress IPv4, ingress
/// IPv6, egress IPv4, egress IPv6.
const LANES: usize = 4;

/// The length of the headers of a plain frame up to and including the ports, in bytes.
const IPV4_HEADERS_LEN: usize = 38;
const IPV6_HEADERS_LEN: usize = 58;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Successive frames of a batch in one lane. Their keys and answers are successive too.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Index of the first frame in the batch.
    frame: usize,
    lane: usize,
    /// Index of the first key in the lane.
    key: usize,
    len: usize,
}

/// A [`Run`] with its keys and the results of the evaluation.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlainRun<'a> {
    /// Index of the first frame in the batch.
    pub(super) frame: usize,
    pub(super) keys: &'a [FlowKey],
    /// The answer of the rule set for each key.
    pub(super) answers: &'a [Answer],
    /// The flow hash of each key.
    pub(super) flows: &'a [u64],
    pub(super) rules: RuleSetIndex,
}

/// The keys of one direction and address family, and what is computed from them.
#[derive(Debug)]
struct Lane {
    /// The first `len` keys are in use.
    keys: [FlowKey; LOOKUP_BATCH_LEN],
    len: usize,
    /// The same keys as columns; unused in a lane of IPv6.
    fields: Ipv4Fields,
    answers: [Answer; LOOKUP_BATCH_LEN],
    flows: [u64; LOOKUP_BATCH_LEN],
}

impl Lane {
    fn new() -> Self {
        Self {
            keys: [FlowKey::EMPTY; LOOKUP_BATCH_LEN],
            len: 0,
            fields: Ipv4Fields::default(),
            answers: [Answer::NONE; LOOKUP_BATCH_LEN],
            flows: [0; LOOKUP_BATCH_LEN],
        }
    }
}

/// The plain frames of a batch.
#[derive(Debug)]
pub(super) struct PlainLanes {
    lanes: [Lane; LANES],
    /// In the order of the frames.
    runs: Vec<Run>,
    /// The interface of all frames in the lanes; `None` if every frame takes the general path.
    interface: Option<InterfaceIndex>,
    /// The outcomes of frames that the checks before the rules decide, in the order of the frames.
    decided: Vec<(usize, MirrorOutcome)>,
}

impl PlainLanes {
    pub(super) fn new() -> Self {
        let runs = Vec::with_capacity(LOOKUP_BATCH_LEN);
        Self {
            lanes: [0, 1, 2, 3].map(|_| Lane::new()),
            runs,
            interface: None,
            decided: Vec::with_capacity(LOOKUP_BATCH_LEN),
        }
    }

    /// Removes all frames. The frames that are added next belong to `interface`. Without an
    /// interface, or if the table does not have it, no frame can be added.
    #[inline]
    pub(super) fn start_batch(&mut self, table: &MirrorTable, interface: Option<InterfaceIndex>) {
        self.runs.clear();
        self.decided.clear();
        self.lanes.iter_mut().for_each(|lane| lane.len = 0);
        self.interface = interface.filter(|interface| table.has_interface(*interface));
    }

    /// Adds the plain frames at the start of `frames` that have one direction and address family.
    /// `index` is the index of the first frame in the batch, `direction` its direction, and
    /// `has_direction` whether another frame has the same. Returns the number of frames that were
    /// added.
    #[inline]
    pub(super) fn add_run(
        &mut self,
        (index, frames): (usize, &[Frame<'_>]),
        direction: Direction,
        has_direction: impl Fn(&Frame<'_>) -> bool,
    ) -> usize {
        let Some(first) = frames.first().filter(|_| self.interface.is_some()) else { return 0 };
        let family = match first.bytes.get(12..15) {
            Some([0x08, 0x00, 0x45]) => 0,
            Some([0x86, 0xdd, 0x60..=0x6f]) => 1,
            _ => return 0,
        };
        let number = 2 * usize::from(direction == Direction::Egress) + family;
        let Some(lane) = self.lanes.get_mut(number) else { return 0 };
        let key = lane.len;
        let len = match family {
            0 => lane.read_ipv4_run(frames, has_direction),
            _ => lane.read_ipv6_run(frames, has_direction),
        };
        if len > 0 {
            self.runs.push(Run { frame: index, lane: number, key, len });
        }
        len
    }

    /// Adds the further segments of a super-frame at the start of `frames`, with the key of the
    /// frame before them, if that frame is in a lane. `index` is the index of the first segment in
    /// the batch. Returns the number of frames that were added.
    #[inline]
    pub(super) fn add_segments(&mut self, index: usize, frames: &[Frame<'_>]) -> usize {
        let Some(run) = self.runs.last_mut().filter(|run| run.frame + run.len == index) else {
            return 0;
        };
        let Some(lane) = self.lanes.get_mut(run.lane) else { return 0 };
        let last = lane.len.checked_sub(1).and_then(|last| lane.keys.get(last).copied());
        let Some(last) = last else { return 0 };
        let mut len = 0;
        for key in lane.keys.iter_mut().skip(lane.len) {
            if !frames.get(len).is_some_and(|frame| frame.is_next_segment) {
                break;
            }
            *key = last;
            lane.fields.set(lane.len + len, last.ipv4());
            len += 1;
        }
        lane.len += len;
        run.len += len;
        len
    }

    /// Evaluates the rules for all lanes, computes the flow hashes, and makes the checks that
    /// precede the rules. `batch` has the flow cache; `frames` are the frames of the batch.
    #[inline]
    pub(super) fn evaluate(
        &mut self,
        table: &MirrorTable,
        batch: &mut LookupBatch,
        frames: &[Frame<'_>],
    ) {
        let Some(interface) = self.interface else { return };
        let mut has_special = false;
        let lanes = self.lanes.iter_mut().enumerate();
        for (number, lane) in lanes.filter(|(_, lane)| lane.len > 0) {
            let keys = lane.keys.get(..lane.len).unwrap_or_default();
            batch.classify(table, rule_set_of(interface, number), keys, &mut lane.answers);
            if is_ipv4(number) {
                let flows = lane.flows.get_mut(..lane.len).unwrap_or_default();
                lane.fields.flow_hashes(flows);
                has_special |= table.has_special(&lane.fields, lane.len);
            } else {
                lane.flows.iter_mut().zip(keys).for_each(|(flow, key)| *flow = flow_hash_bits(key));
                has_special |= !keys.iter().all(|key| table.is_ordinary(key));
            }
        }
        // One loop for each lane shows whether the checks before the rules can concern a packet of
        // the batch. Without a loop guard (replay), this is rare.
        if has_special {
            self.check_special(table, frames);
        }
    }

    /// Makes the checks before the rules for each frame that they may concern, and keeps the
    /// outcomes that they decide. These replace the answers of the rules.
    #[cold]
    fn check_special(&mut self, table: &MirrorTable, frames: &[Frame<'_>]) {
        let Self { lanes, runs, decided, interface } = self;
        let Some(interface) = *interface else { return };
        for run in runs.iter() {
            let Some(lane) = lanes.get(run.lane) else { continue };
            let owner = rule_set_of(interface, run.lane).owner();
            let keys = lane.keys.iter().skip(run.key).take(run.len);
            for (index, key) in (run.frame..).zip(keys) {
                let Some(frame) = frames.get(index).filter(|_| !table.is_ordinary(key)) else {
                    continue;
                };
                if let Precheck::Decided(outcome) = table.precheck(owner, key, frame) {
                    decided.push((index, outcome));
                }
            }
        }
    }

    /// The outcome of a frame of the batch if the checks before the rules decided on it.
    #[inline]
    pub(super) fn decided(&self, frame: usize) -> Option<MirrorOutcome> {
        let position = self.decided.binary_search_by_key(&frame, |(decided, _)| *decided).ok()?;
        self.decided.get(position).map(|(_, outcome)| *outcome)
    }

    /// Whether the rules decide on every frame in the lanes, so that no outcome replaces an answer.
    #[inline]
    pub(super) const fn is_decided_by_rules(&self) -> bool {
        self.decided.is_empty()
    }

    /// The runs in the order of their frames.
    pub(super) fn runs(&self) -> impl Iterator<Item = PlainRun<'_>> {
        let interface = self.interface.unwrap_or(InterfaceIndex::FIRST);
        self.runs.iter().filter_map(move |run| {
            let lane = self.lanes.get(run.lane)?;
            let keys = run.key..run.key + run.len;
            Some(PlainRun {
                frame: run.frame,
                answers: lane.answers.get(keys.clone())?,
                flows: lane.flows.get(keys.clone())?,
                keys: lane.keys.get(keys)?,
                rules: rule_set_of(interface, run.lane),
            })
        })
    }
}

impl Lane {
    /// Reads the keys of the plain frames at the start of `frames` that have one direction. Returns
    /// their number.
    #[inline(never)]
    fn read_ipv4_run(
        &mut self,
        frames: &[Frame<'_>],
        has_direction: impl Fn(&Frame<'_>) -> bool,
    ) -> usize {
        let start = self.len;
        let keys = self.keys.get_mut(start..).unwrap_or_default();
        let mut len = 0;
        for (key, frame) in keys.iter_mut().zip(frames) {
            let Some(fields) = read_ipv4(frame).filter(|_| is_whole(frame) & has_direction(frame))
            else {
                break;
            };
            key.set_ipv4(fields);
            self.fields.set(start + len, fields);
            len += 1;
        }
        self.len += len;
        len
    }

    #[inline(never)]
    fn read_ipv6_run(
        &mut self,
        frames: &[Frame<'_>],
        has_direction: impl Fn(&Frame<'_>) -> bool,
    ) -> usize {
        let keys = self.keys.get_mut(self.len..).unwrap_or_default();
        let mut len = 0;
        for (key, frame) in keys.iter_mut().zip(frames) {
            if !read_ipv6(key, frame.bytes) || !is_whole(frame) || !has_direction(frame) {
                break;
            }
            len += 1;
        }
        self.len += len;
        len
    }
}

/// Whether a frame is an Ethernet frame and not a further segment of a super-frame.
#[inline(always)]
fn is_whole(frame: &Frame<'_>) -> bool {
    (frame.medium == Medium::Ethernet) & !frame.is_next_segment
}

/// Whether a lane is one of IPv4.
const fn is_ipv4(lane: usize) -> bool {
    matches!(lane, 0 | 2)
}

/// The rule set of a lane.
#[inline(always)]
fn rule_set_of(interface: InterfaceIndex, lane: usize) -> RuleSetIndex {
    let direction = if lane < 2 { Direction::Ingress } else { Direction::Egress };
    RuleSetIndex::new(FrameOwner { interface, direction }, is_ipv4(lane))
}

/// The fields of a plain frame of IPv4; `None` if it is another frame.
#[inline(always)]
fn read_ipv4(frame: &Frame<'_>) -> Option<Ipv4Key> {
    let headers = frame.bytes.first_chunk::<IPV4_HEADERS_LEN>()?;
    let [.., s0, s1, s2, s3, d0, d1, d2, d3, from0, from1, to0, to1] = *headers;
    let start = u32::from_be_bytes([headers[12], headers[13], headers[14], 0]);
    let total_len = u16::from_be_bytes([headers[16], headers[17]]);
    let fragment_offset = u16::from_be_bytes([headers[20], headers[21]]) & 0x1fff;
    let protocol = headers[23];
    let is_plain = (start == 0x0800_4500)
        & (total_len >= 24)
        & (fragment_offset == 0)
        & ((protocol == TCP) | (protocol == UDP));
    is_plain.then_some(Ipv4Key {
        source: u32::from_be_bytes([s0, s1, s2, s3]),
        destination: u32::from_be_bytes([d0, d1, d2, d3]),
        source_port: u16::from_be_bytes([from0, from1]),
        destination_port: u16::from_be_bytes([to0, to1]),
        protocol: u16::from(protocol),
    })
}

/// Reads the key of a frame of IPv6. Returns false if the frame is not plain.
#[inline(always)]
fn read_ipv6(key: &mut FlowKey, frame: &[u8]) -> bool {
    let Some(headers) = frame.first_chunk::<IPV6_HEADERS_LEN>() else { return false };
    let [.., source_high, source_low, destination_high, destination_low] = *headers;
    let payload_len = u16::from_be_bytes([headers[18], headers[19]]);
    let protocol = headers[20];
    key.addresses.copy_from_slice(&headers[22..54]);
    key.source_port = u16::from_be_bytes([source_high, source_low]);
    key.destination_port = u16::from_be_bytes([destination_high, destination_low]);
    key.protocol = u16::from(protocol);
    key.has_ports = true;
    key.is_ipv4 = false;
    let start = u32::from_be_bytes([0, headers[12], headers[13], headers[14] & 0xf0]);
    (start == 0x0086_dd60) & (payload_len >= 4) & ((protocol == TCP) | (protocol == UDP))
}
