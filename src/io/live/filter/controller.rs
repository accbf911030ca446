//! Keeps the filters of one source as its table, its load and its frames would have them.

use std::io;

use socket2::Socket;

use super::auto_filter::AutoFilter;
use super::program::{MAX_SNAPLEN, ProgramSpec, Truncation};
use super::wanted_packets::WantedPackets;
use super::{FilterState, Instruction, KernelFilter, TrafficSample, attach, reject_all};
use crate::dataplane::MirrorTable;
use crate::io::live::RingOptions;
use crate::io::live::wake_socket::WakeSocket;

/// How much of a frame the wake socket receives: that one came is all it has to know.
const ONE_BYTE: u32 = 1;

/// What is filtered.
#[derive(Debug, Clone, Copy)]
pub(in crate::io::live) struct FilterSockets<'a> {
    pub(in crate::io::live) ring: &'a Socket,
    pub(in crate::io::live) wake_socket: &'a WakeSocket,
}

/// What is known of a source's filters.
#[derive(Debug)]
pub(in crate::io::live) struct KernelFilterController {
    mark: Option<u32>,
    mtu: u32,
    mode: KernelFilter,
    wanted_packets: WantedPackets,
    /// What the programs do that are attached.
    attached: Option<FilterSpec>,
    auto_filter: AutoFilter,
    /// Whether a cut was never wrong, and never refused.
    may_truncate: bool,
    /// Whether the kernel never refused a program that drops.
    may_drop: bool,
    is_closed: bool,
    overtruncated: u64,
    warnings: Vec<String>,
}

/// What the programs of one source depend on, besides what never changes.
#[derive(Debug, PartialEq, Eq)]
struct FilterSpec {
    target_ports: Vec<u16>,
    truncation: Option<Truncation>,
    /// What is wanted, where the rest is dropped.
    wanted: Option<WantedPackets>,
}

impl KernelFilterController {
    /// For a source that lets everything through but our own.
    pub(in crate::io::live) const fn new(options: &RingOptions) -> Self {
        Self {
            mark: options.mark,
            mtu: options.mtu,
            mode: options.kernel_filter,
            wanted_packets: WantedPackets::ALL,
            attached: None,
            auto_filter: AutoFilter::Off,
            may_truncate: true,
            may_drop: true,
            is_closed: false,
            overtruncated: 0,
            warnings: Vec::new(),
        }
    }

    /// Lets through what the sessions of another table want.
    pub(in crate::io::live) fn set_table(
        &mut self,
        (table, interface): (&MirrorTable, u32),
        sockets: FilterSockets<'_>,
    ) -> io::Result<()> {
        self.wanted_packets = WantedPackets::of(table, interface);
        if !self.can_drop() {
            self.set_auto_filter(AutoFilter::Off);
        }
        self.attach(sockets)
    }

    /// Hears what came lately.
    pub(in crate::io::live) fn observe_traffic(
        &mut self,
        sample: &TrafficSample,
        sockets: FilterSockets<'_>,
    ) -> io::Result<()> {
        if self.mode != KernelFilter::Auto || !self.can_drop() {
            return Ok(());
        }
        let dropped = self.auto_filter.is_dropping();
        self.set_auto_filter(self.auto_filter.advance(sample));
        if self.auto_filter.is_dropping() == dropped { Ok(()) } else { self.attach(sockets) }
    }

    /// Hears of frames that were cut and should not have been: from now on none is.
    pub(in crate::io::live) fn disable_truncation(
        &mut self,
        frames: u64,
        sockets: FilterSockets<'_>,
    ) -> io::Result<()> {
        self.overtruncated += frames;
        if !std::mem::take(&mut self.may_truncate) {
            return Ok(());
        }
        self.warnings.push(
            "a frame was cut to PacketLength in the kernel before its checksum was made or its \
             segments were: from now on frames are taken whole, and cut here"
                .to_owned(),
        );
        self.attach(sockets)
    }

    /// Lets nothing through any more, for good.
    pub(in crate::io::live) fn close(&mut self, sockets: FilterSockets<'_>) -> io::Result<()> {
        self.is_closed = true;
        attach(sockets.ring, &reject_all())
    }

    /// To how many bytes frames are cut; none where they are not.
    pub(in crate::io::live) fn truncation_len(&self) -> Option<u32> {
        self.truncation().map(|truncation| truncation.len)
    }

    pub(in crate::io::live) fn state(&self) -> FilterState {
        FilterState {
            is_filtering: self.is_dropping() || self.auto_filter.is_active(),
            overtruncated: self.overtruncated,
        }
    }

    pub(in crate::io::live) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Attaches what should be in force, or where the kernel refuses that, the next that lets
    /// through more.
    fn attach(&mut self, sockets: FilterSockets<'_>) -> io::Result<()> {
        if self.is_closed {
            return Ok(());
        }
        while let Err(error) = self.try_attach(sockets) {
            if self.is_dropping() {
                self.may_drop = false;
                self.set_auto_filter(AutoFilter::Off);
            } else if self.truncation().is_some() {
                self.may_truncate = false;
            } else {
                return Err(error);
            }
            self.warnings.push(format!("the kernel refuses a filter, so it gets a wider: {error}"));
        }
        Ok(())
    }

    /// The ring first: a wake socket that wakes too often does less harm than one that wakes too
    /// late.
    fn try_attach(&mut self, sockets: FilterSockets<'_>) -> io::Result<()> {
        let filter_spec = self.filter_spec();
        // Most changes of a table change nothing here, and the kernel compiles what is attached.
        if self.attached.as_ref() == Some(&filter_spec) {
            return Ok(());
        }
        self.attached = None;
        let [program, wake_program] = self.programs(&filter_spec);
        attach(sockets.ring, &program)?;
        sockets.wake_socket.set_filter(&wake_program)?;
        self.attached = Some(filter_spec);
        Ok(())
    }

    fn filter_spec(&self) -> FilterSpec {
        FilterSpec {
            target_ports: self.wanted_packets.target_ports.clone(),
            truncation: self.truncation(),
            wanted: self.is_dropping().then(|| self.wanted_packets.clone()),
        }
    }

    /// Of the ring and of the wake socket.
    fn programs(&self, filter_spec: &FilterSpec) -> [Vec<Instruction>; 2] {
        let FilterSpec { target_ports, truncation, wanted } = filter_spec;
        let (mark, wanted) = (self.mark, wanted.as_ref());
        let program_spec = ProgramSpec {
            mark,
            target_ports,
            snaplen: MAX_SNAPLEN,
            truncation: *truncation,
            wanted,
        };
        [
            program_spec.compile(),
            ProgramSpec { snaplen: ONE_BYTE, truncation: None, ..program_spec }.compile(),
        ]
    }

    fn truncation(&self) -> Option<Truncation> {
        let may_truncate = self.may_truncate && self.mode != KernelFilter::Never;
        self.wanted_packets
            .max_packet_length
            .filter(|_| may_truncate)
            .and_then(|len| Truncation::new(len, self.mtu))
    }

    fn can_drop(&self) -> bool {
        self.may_drop && self.mode != KernelFilter::Never && self.wanted_packets.can_drop()
    }

    fn is_dropping(&self) -> bool {
        self.can_drop() && (self.mode == KernelFilter::Always || self.auto_filter.is_dropping())
    }

    fn set_auto_filter(&mut self, auto_filter: AutoFilter) {
        match (self.auto_filter.is_active(), auto_filter.is_active()) {
            (false, true) => self.warnings.push(
                "many more frames come than are mirrored: the kernel drops those that no session \
                 can want, and they are not counted"
                    .to_owned(),
            ),
            (true, false) => {
                self.warnings.push("the kernel drops no frames any more: all count".to_owned());
            }
            _ => {}
        }
        self.auto_filter = auto_filter;
    }
}
