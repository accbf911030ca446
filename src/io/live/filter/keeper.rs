//! Keeps the filters of one source as its table, its load and its frames would have them.

use std::io;

use socket2::Socket;

use super::program::{Cut, Task, WHOLE};
use super::switch::Switch;
use super::wants::Wants;
use super::{FilterState, Instruction, KernelFilter, Load, attach, nothing};
use crate::dataplane::MirrorTable;
use crate::io::live::RingOptions;
use crate::io::live::bell::Bell;

/// The bell wants to hear that a frame came, and no more.
const A_BYTE: u32 = 1;

/// What is filtered.
#[derive(Debug, Clone, Copy)]
pub(in crate::io::live) struct Outlets<'a> {
    pub(in crate::io::live) ring: &'a Socket,
    pub(in crate::io::live) bell: &'a Bell,
}

/// What is known of a source's filters.
#[derive(Debug)]
pub(in crate::io::live) struct Keeper {
    mark: Option<u32>,
    mtu: u32,
    when: KernelFilter,
    wants: Wants,
    /// What the programs do that are attached.
    attached: Option<Purpose>,
    switch: Switch,
    /// Whether a cut was never wrong, and never refused.
    may_cut: bool,
    /// Whether the kernel never refused a program that drops.
    may_drop: bool,
    is_closed: bool,
    spoiled: u64,
    warnings: Vec<String>,
}

/// What the programs of one source depend on, besides what never changes.
#[derive(Debug, PartialEq, Eq)]
struct Purpose {
    target_ports: Vec<u16>,
    cut: Option<Cut>,
    /// What is wanted, where the rest is dropped.
    wanted: Option<Wants>,
}

impl Keeper {
    /// For a source that lets everything through but our own.
    pub(in crate::io::live) const fn new(options: &RingOptions) -> Self {
        Self {
            mark: options.mark,
            mtu: options.mtu,
            when: options.kernel_filter,
            wants: Wants::ALL,
            attached: None,
            switch: Switch::Open,
            may_cut: true,
            may_drop: true,
            is_closed: false,
            spoiled: 0,
            warnings: Vec::new(),
        }
    }

    /// Lets through what the sessions of another table want.
    pub(in crate::io::live) fn follow(
        &mut self,
        wants: (&MirrorTable, u32),
        outlets: Outlets<'_>,
    ) -> io::Result<()> {
        let (table, interface) = wants;
        self.wants = Wants::of(table, interface);
        if !self.can_drop() {
            self.turn(Switch::Open);
        }
        self.attach(outlets)
    }

    /// Hears what came lately.
    pub(in crate::io::live) fn weigh(
        &mut self,
        load: &Load,
        outlets: Outlets<'_>,
    ) -> io::Result<()> {
        if self.when != KernelFilter::Auto || !self.can_drop() {
            return Ok(());
        }
        let dropped = self.switch.drops();
        self.turn(self.switch.after(load));
        if self.switch.drops() == dropped { Ok(()) } else { self.attach(outlets) }
    }

    /// Hears of frames that were cut and should not have been: from now on none is.
    pub(in crate::io::live) fn spoil(
        &mut self,
        frames: u64,
        outlets: Outlets<'_>,
    ) -> io::Result<()> {
        self.spoiled += frames;
        if !std::mem::take(&mut self.may_cut) {
            return Ok(());
        }
        self.warnings.push(
            "a frame was cut to PacketLength in the kernel before its checksum was made or its \
             segments were: from now on frames are taken whole, and cut here"
                .to_owned(),
        );
        self.attach(outlets)
    }

    /// Lets nothing through any more, for good.
    pub(in crate::io::live) fn close(&mut self, outlets: Outlets<'_>) -> io::Result<()> {
        self.is_closed = true;
        attach(outlets.ring, &nothing())
    }

    /// To how many bytes frames are cut; none where they are not.
    pub(in crate::io::live) fn cut_len(&self) -> Option<u32> {
        self.cut().map(|cut| cut.len)
    }

    pub(in crate::io::live) fn state(&self) -> FilterState {
        FilterState {
            is_filtering: self.is_dropping() || self.switch.is_on(),
            spoiled: self.spoiled,
        }
    }

    pub(in crate::io::live) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Attaches what should be in force, or where the kernel refuses that, the next that lets
    /// through more.
    fn attach(&mut self, outlets: Outlets<'_>) -> io::Result<()> {
        if self.is_closed {
            return Ok(());
        }
        while let Err(error) = self.try_attach(outlets) {
            if self.is_dropping() {
                self.may_drop = false;
                self.turn(Switch::Open);
            } else if self.cut().is_some() {
                self.may_cut = false;
            } else {
                return Err(error);
            }
            self.warnings.push(format!("the kernel refuses a filter, so it gets a wider: {error}"));
        }
        Ok(())
    }

    /// The ring first: a bell that rings too often does less harm than one that rings too late.
    fn try_attach(&mut self, outlets: Outlets<'_>) -> io::Result<()> {
        let purpose = self.purpose();
        // Most changes of a table change nothing here, and the kernel compiles what is attached.
        if self.attached.as_ref() == Some(&purpose) {
            return Ok(());
        }
        self.attached = None;
        let [program, bell_program] = self.programs(&purpose);
        attach(outlets.ring, &program)?;
        outlets.bell.heed(&bell_program)?;
        self.attached = Some(purpose);
        Ok(())
    }

    fn purpose(&self) -> Purpose {
        Purpose {
            target_ports: self.wants.target_ports.clone(),
            cut: self.cut(),
            wanted: self.is_dropping().then(|| self.wants.clone()),
        }
    }

    /// Of the ring and of the bell.
    fn programs(&self, purpose: &Purpose) -> [Vec<Instruction>; 2] {
        let Purpose { target_ports, cut, wanted } = purpose;
        let (mark, wanted) = (self.mark, wanted.as_ref());
        let task = Task { mark, target_ports, whole: WHOLE, cut: *cut, wanted };
        [task.program(), Task { whole: A_BYTE, cut: None, ..task }.program()]
    }

    fn cut(&self) -> Option<Cut> {
        let may_cut = self.may_cut && self.when != KernelFilter::Never;
        self.wants.most_len.filter(|_| may_cut).and_then(|len| Cut::new(len, self.mtu))
    }

    fn can_drop(&self) -> bool {
        self.may_drop && self.when != KernelFilter::Never && self.wants.can_drop()
    }

    fn is_dropping(&self) -> bool {
        self.can_drop() && (self.when == KernelFilter::Always || self.switch.drops())
    }

    fn turn(&mut self, switch: Switch) {
        match (self.switch.is_on(), switch.is_on()) {
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
        self.switch = switch;
    }
}
