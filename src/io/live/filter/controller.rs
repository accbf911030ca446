//! Attaches the kernel filters that match a source's mirror table, load and observed truncation.
//!
//! It is a control loop over three inputs. A new table changes the accepted packets and the
//! truncation length. Traffic samples switch dropping on and off. A frame that was truncated too
//! early switches truncation off for good. If the kernel rejects a program, the controller gives up
//! dropping first, then truncation; the basic program, which only excludes our own copies, must be
//! accepted.

use std::io;

use socket2::Socket;

use super::auto_filter::AutoFilter;
use super::program::{MAX_SNAPLEN, ProgramSpec, Truncation};
use super::wanted_packets::WantedPackets;
use super::{FilterState, Instruction, KernelFilter, TrafficSample, attach, reject_all};
use crate::dataplane::{InterfaceIndex, MirrorTable};
use crate::io::live::RingOptions;
use crate::io::live::wake_socket::WakeSocket;

/// The number of bytes of a frame that the wake socket receives: it only needs the event.
const ONE_BYTE: u32 = 1;

/// The sockets that have filters.
#[derive(Debug, Clone, Copy)]
pub(in crate::io::live) struct FilterSockets<'a> {
    pub(in crate::io::live) ring: &'a Socket,
    pub(in crate::io::live) wake_socket: &'a WakeSocket,
}

/// The state of a source's filters.
#[derive(Debug)]
pub(in crate::io::live) struct KernelFilterController {
    mark: Option<u32>,
    mtu: u32,
    mode: KernelFilter,
    wanted_packets: WantedPackets,
    /// The specification of the attached programs.
    attached: Option<FilterSpec>,
    auto_filter: AutoFilter,
    /// Whether truncation is still allowed: it was never wrong, and the kernel never rejected it.
    may_truncate: bool,
    /// Whether dropping is still allowed: the kernel never rejected such a program.
    may_drop: bool,
    is_closed: bool,
    overtruncated: u64,
    warnings: Vec<String>,
}

/// The inputs of the programs of one source that can change.
#[derive(Debug, PartialEq, Eq)]
struct FilterSpec {
    target_ports: Vec<u16>,
    truncation: Option<Truncation>,
    /// The packets that are accepted; `None` accepts all.
    wanted: Option<WantedPackets>,
}

impl KernelFilterController {
    /// For a source that accepts all frames except our own copies.
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

    /// Attaches the filters for the sessions of another table.
    pub(in crate::io::live) fn set_table(
        &mut self,
        (table, interface): (&MirrorTable, InterfaceIndex),
        sockets: FilterSockets<'_>,
    ) -> io::Result<()> {
        self.wanted_packets = WantedPackets::of(table, interface);
        if !self.can_drop() {
            self.set_auto_filter(AutoFilter::Off);
        }
        self.attach(sockets)
    }

    /// Records a traffic sample and switches dropping on or off.
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

    /// Counts frames that should not have been truncated, and stops truncation.
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
            "the kernel truncated a frame whose checksum or segmentation was not finished: frames \
             are now received whole and truncated to PacketLength by this program"
                .to_owned(),
        );
        self.attach(sockets)
    }

    /// Rejects all frames from now on.
    pub(in crate::io::live) fn close(&mut self, sockets: FilterSockets<'_>) -> io::Result<()> {
        self.is_closed = true;
        attach(sockets.ring, &reject_all())
    }

    /// The length in bytes to which frames are truncated; `None` if they are not.
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

    /// Attaches the programs. If the kernel rejects them, attaches the next ones that accept more.
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
            self.warnings.push(format!(
                "the kernel rejected a filter ({error}): a filter that accepts more is used"
            ));
        }
        Ok(())
    }

    /// Attaches the filter of the ring first: a wake socket that wakes too often does less harm
    /// than one that wakes too late.
    fn try_attach(&mut self, sockets: FilterSockets<'_>) -> io::Result<()> {
        let filter_spec = self.filter_spec();
        // Most changes of a table do not affect the filter, and attaching one makes the kernel
        // compile it.
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

    /// The programs of the ring and of the wake socket.
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
                "fewer than half of more than 50,000 frames/s are mirrored: the kernel drops \
                 frames that no session can mirror and does not count them"
                    .to_owned(),
            ),
            (true, false) => {
                let warning = "the kernel filter no longer drops frames: all frames are counted";
                self.warnings.push(warning.to_owned());
            }
            _ => {}
        }
        self.auto_filter = auto_filter;
    }
}
