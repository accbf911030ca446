//! What the programs of all interfaces share: the context of clones, the pad, and the encapsulators
//! of the egress devices.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::btf::KernelTypes;
use super::error::KernelTierError;
use super::programs::load;
use crate::bpf::Code;
use crate::dataplane::kernel::{
    CONTEXT_LEN, ChecksumField, KernelMarks, Place, TapOptions, encapsulator,
};
use crate::io::clock::Stopwatch;
use crate::io::links::{self, Pad};
use crate::io::sys::bpf::{Hook, Link, Map, MapKind, Program};
use crate::io::sys::capability;
use crate::io::udp::{Egress, NeighbourId};

/// Contains 1 on a kernel with PREEMPT_RT; other kernels do not have it.
const REAL_TIME: &str = "/sys/kernel/realtime";

/// How long the kernel is not asked again about a neighbour: about as long as it waits between two
/// of its own probes (`retrans_time_ms`).
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The state of the kernel tier that all interfaces of a run share.
#[derive(Debug)]
pub struct KernelTier {
    marks: KernelMarks,
    types: KernelTypes,
    context: Map,
    /// Two instances of one program: a program can be attached to a device once, and the second one
    /// is put in front before the first one is detached.
    encapsulators: [Program; 2],
    pad: Pad,
    _pad_port: Link,
    egress: Arc<Egress>,
    /// By index of the egress device: the instance that is attached, and its link.
    devices: Mutex<HashMap<u32, (usize, Link)>>,
    /// When the kernel was last asked to resolve or verify a neighbour.
    asked: Mutex<HashMap<NeighbourId, Stopwatch>>,
}

impl KernelTier {
    /// Opens the tier in the network namespace of the calling thread: creates the pad and attaches
    /// its encapsulator. `mark` is the mark of copies.
    ///
    /// # Errors
    /// The kernel has no tcx hooks or no type information, or the process lacks a capability.
    pub fn open(mark: u32, egress: Arc<Egress>) -> Result<Arc<Self>, KernelTierError> {
        let missing = capability::missing_capabilities();
        if !missing.is_empty() {
            let missing = missing.into_iter().map(str::to_owned).collect();
            return Err(KernelTierError::MissingCapabilities(missing));
        }
        if std::fs::read_to_string(REAL_TIME).is_ok_and(|text| text.trim() == "1") {
            return Err(KernelTierError::RealTime);
        }
        let types = KernelTypes::read()?;
        let marks = KernelMarks { own: mark };
        let context = Map::create(MapKind::PerCpuArray, CONTEXT_LEN, 1)?;
        let load_at = |place| load(&encapsulator(place, marks)?, &[&context], &types);
        let at_device = [load_at(Place::EgressDevice)?, load_at(Place::EgressDevice)?];
        let at_pad = load_at(Place::PadPort)?;
        let pad = Pad::create(mark)?;
        // Kernels without tcx do not know the type of the link.
        let pad_port = at_pad.attach(pad.port_index(), Hook::Egress).map_err(|error| {
            let is_unknown = error.raw_os_error() == Some(libc::EINVAL);
            if is_unknown { KernelTierError::Unsupported } else { error.into() }
        })?;
        Ok(Arc::new(Self {
            marks,
            types,
            context,
            encapsulators: at_device,
            pad,
            _pad_port: pad_port,
            egress,
            devices: Mutex::default(),
            asked: Mutex::default(),
        }))
    }

    /// What the taps must know.
    pub(super) fn tap_options(&self) -> TapOptions {
        let field = self.types.ip_summed;
        let checksum = ChecksumField {
            // Offsets in `sk_buff` are far below 32,768.
            offset: i16::try_from(field.offset).unwrap_or(i16::MAX),
            shift: i32::from(field.shift),
            mask: i32::from(field.mask),
        };
        TapOptions { marks: self.marks, pad_index: self.pad.bridge_index(), checksum }
    }

    pub(super) const fn context(&self) -> &Map {
        &self.context
    }

    /// Loads a program whose map slots are the indices of `maps`.
    pub(super) fn load(&self, code: &Code, maps: &[&Map]) -> Result<Program, KernelTierError> {
        load(code, maps, &self.types)
    }

    pub(super) const fn egress(&self) -> &Arc<Egress> {
        &self.egress
    }

    /// Attaches the encapsulator to an egress device, unless it is attached already.
    pub(super) fn encapsulate_at(&self, device_index: u32) -> Result<(), KernelTierError> {
        let mut devices = locked(&self.devices);
        if let Entry::Vacant(device) = devices.entry(device_index) {
            let [first, _] = &self.encapsulators;
            device.insert((0, first.attach(device_index, Hook::Egress)?));
        }
        Ok(())
    }

    /// Puts an encapsulator in front of all other programs of an egress device again, because a
    /// clone left without it: another program runs before it.
    pub(super) fn encapsulate_first_at(&self, device_index: u32) -> Result<(), KernelTierError> {
        let mut devices = locked(&self.devices);
        let attached = devices.get(&device_index).map_or(1, |(instance, _)| *instance);
        let other = 1 - attached.min(1);
        if let Some(encapsulator) = self.encapsulators.get(other) {
            let link = encapsulator.attach(device_index, Hook::Egress)?;
            devices.insert(device_index, (other, link));
        }
        Ok(())
    }

    /// Asks the kernel to resolve or verify a neighbour, at most once in [`ASK_AGAIN_AFTER`].
    pub(super) fn resolve(&self, neighbour: NeighbourId) {
        let mut asked = locked(&self.asked);
        asked.retain(|_, since| since.elapsed() < ASK_AGAIN_AFTER);
        if asked.contains_key(&neighbour) {
            return;
        }
        asked.insert(neighbour, Stopwatch::start());
        // If the kernel refuses, the path stays as it is, and its copies are counted.
        let _ = links::resolve_neighbour(neighbour.device_index, neighbour.address);
    }
}

/// Locks a mutex. The values are valid even if a thread panicked while it held the lock.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
