//! bpf(2): maps, programs, test runs and tcx links.

use std::ffi::{CStr, c_int, c_long};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;

use crate::bpf::{FunctionKind, Instruction, type_information};

/// `enum bpf_cmd` of linux/bpf.h.
const MAP_CREATE: c_int = 0;
const MAP_LOOKUP_ELEM: c_int = 1;
const MAP_UPDATE_ELEM: c_int = 2;
const PROG_LOAD: c_int = 5;
const BTF_LOAD: c_int = 18;
const PROG_TEST_RUN: c_int = 10;
const LINK_CREATE: c_int = 28;
const LINK_UPDATE: c_int = 29;

/// `BPF_PROG_TYPE_SCHED_CLS`.
const CLASSIFIER: u64 = 3;
/// Some helpers and kernel functions are offered to programs with a GPL-compatible license only.
const LICENSE: &CStr = c"Dual MIT/GPL";
/// `BPF_F_BEFORE`: the program runs before all programs that are attached already.
const BEFORE: u64 = 1 << 3;
/// Length of the log of the verifier in bytes.
const LOG_LEN: usize = 1 << 20;

/// The kind of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MapKind {
    Array,
    PerCpuArray,
}

/// The tcx hook of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    Ingress,
    Egress,
}

/// The verifier or the kernel rejected a program.
#[derive(Debug, thiserror::Error)]
#[error("the kernel rejected the program: {error}")]
pub(crate) struct LoadError {
    pub(crate) error: io::Error,
    /// The log of the verifier; empty if there is none.
    pub(crate) log: String,
}

/// A map whose keys are indices.
#[derive(Debug)]
pub(crate) struct Map {
    descriptor: OwnedFd,
    kind: MapKind,
    value_len: usize,
    entries: u32,
}

/// A loaded program.
#[derive(Debug)]
pub(crate) struct Program(OwnedFd);

/// A program that is attached to a device. It is detached when this value is dropped.
#[derive(Debug)]
pub(crate) struct Link(OwnedFd);

/// `union bpf_attr` as words of 64 bits: the longest variant that is used here.
type Attributes = [u64; 18];

/// Calls bpf(2).
///
/// # Safety
/// Every address in `attributes` must be valid for what the command reads or writes there, for the
/// length that `attributes` states, until the call returns.
unsafe fn bpf(command: c_int, attributes: &mut Attributes) -> io::Result<c_long> {
    let len = size_of::<Attributes>();
    // SAFETY: the caller upholds the rules for the addresses in the attributes; the attributes
    // themselves are valid for reading and writing `len` bytes.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Takes the descriptor that a command returned.
fn owned(result: c_long) -> io::Result<OwnedFd> {
    let descriptor = c_int::try_from(result).map_err(io::Error::other)?;
    // SAFETY: the kernel has just opened this descriptor for the caller, and nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn word(descriptor: BorrowedFd<'_>) -> u64 {
    u64::from(descriptor.as_raw_fd().cast_unsigned())
}

fn address<T>(values: &[T]) -> u64 {
    u64::try_from(values.as_ptr().addr()).unwrap_or_default()
}

fn long(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

impl Map {
    /// Creates a map with `entries` values of `value_len` bytes, all zero.
    pub(crate) fn create(kind: MapKind, value_len: usize, entries: u32) -> io::Result<Self> {
        let kind_number: u64 = match kind {
            MapKind::Array => 2,
            MapKind::PerCpuArray => 6,
        };
        let mut attributes = Attributes::default();
        attributes[0] = kind_number | 4 << 32;
        attributes[1] = long(value_len) | u64::from(entries) << 32;
        // SAFETY: the command reads no address.
        let descriptor = owned(unsafe { bpf(MAP_CREATE, &mut attributes) }?)?;
        Ok(Self { descriptor, kind, value_len, entries })
    }

    /// Replaces a value of an array. Programs may read it meanwhile.
    pub(crate) fn update(&self, index: u32, value: &[u8]) -> io::Result<()> {
        if self.kind != MapKind::Array || value.len() != self.value_len || index >= self.entries {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let key = [index];
        let mut attributes = Attributes::default();
        attributes[0] = word(self.descriptor());
        attributes[1] = address(&key);
        attributes[2] = address(value);
        // SAFETY: the key has four bytes and the value has the length of the values of the map, as
        // compared above.
        unsafe { bpf(MAP_UPDATE_ELEM, &mut attributes) }.map(drop)
    }

    /// Reads a value. A per-CPU map has one value for each possible processor, each with a multiple
    /// of eight bytes; they follow each other.
    pub(crate) fn read(&self, index: u32) -> io::Result<Vec<u8>> {
        let copies = if self.kind == MapKind::PerCpuArray { possible_processors()? } else { 1 };
        let stride = self.value_len.next_multiple_of(8);
        let mut value = vec![0_u8; stride * copies];
        let key = [index];
        let mut attributes = Attributes::default();
        attributes[0] = word(self.descriptor());
        attributes[1] = address(&key);
        attributes[2] = u64::try_from(value.as_mut_ptr().addr()).unwrap_or_default();
        // SAFETY: the kernel writes the length of a value, rounded up to eight bytes, for each
        // possible processor; `value` has this length.
        unsafe { bpf(MAP_LOOKUP_ELEM, &mut attributes) }?;
        Ok(value)
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Program {
    /// Loads a classifier. Its references must be resolved. If the kernel rejects it, it is loaded
    /// again with the log of the verifier.
    pub(crate) fn load(
        instructions: &[Instruction],
        functions: &[(usize, FunctionKind)],
    ) -> Result<Self, LoadError> {
        match Self::try_load(instructions, functions, &mut []) {
            Ok(program) => Ok(program),
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                Err(LoadError { error, log: String::new() })
            }
            Err(_) => {
                let mut log = vec![0_u8; LOG_LEN];
                Self::try_load(instructions, functions, &mut log).map_err(|error| {
                    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
                    log.truncate(end);
                    LoadError { error, log: String::from_utf8_lossy(&log).into_owned() }
                })
            }
        }
    }

    /// Runs the program on a frame, without a device, and returns its result.
    pub(crate) fn test_run(&self, frame: &[u8]) -> io::Result<u32> {
        let mut attributes = Attributes::default();
        attributes[0] = word(self.descriptor());
        attributes[1] = long(frame.len());
        attributes[2] = address(frame);
        // SAFETY: the kernel reads the stated length of the frame, and writes no bytes, because the
        // output length is zero.
        unsafe { bpf(PROG_TEST_RUN, &mut attributes) }?;
        Ok(u32::try_from(attributes[0] >> 32).unwrap_or_default())
    }

    /// Runs the program on a frame with a mark, and returns its result and the frame after it.
    #[cfg(test)]
    pub(crate) fn test_run_with_mark(&self, frame: &[u8], mark: u32) -> io::Result<(u32, Vec<u8>)> {
        let mut output = vec![0_u8; frame.len() + 256];
        // The length and the mark are the first fields of `struct __sk_buff`.
        let context = [0, 0, mark, 0];
        let mut attributes = Attributes::default();
        attributes[0] = word(self.descriptor());
        attributes[1] = long(frame.len()) | long(output.len()) << 32;
        attributes[2] = address(frame);
        attributes[3] = u64::try_from(output.as_mut_ptr().addr()).unwrap_or_default();
        attributes[5] = long(size_of_val(&context));
        attributes[6] = address(&context);
        // SAFETY: the kernel reads the stated lengths of the frame and of the context, and writes
        // at most the stated length to `output`.
        unsafe { bpf(PROG_TEST_RUN, &mut attributes) }?;
        output.truncate(usize::try_from(attributes[1] >> 32).unwrap_or_default());
        Ok((u32::try_from(attributes[0] >> 32).unwrap_or_default(), output))
    }

    /// Attaches the program to a hook of a device, before all other programs there.
    pub(crate) fn attach(&self, device_index: u32, hook: Hook) -> io::Result<Link> {
        let attach_type: u64 = match hook {
            Hook::Ingress => 46,
            Hook::Egress => 47,
        };
        let mut attributes = Attributes::default();
        attributes[0] = word(self.descriptor()) | u64::from(device_index) << 32;
        attributes[1] = attach_type | BEFORE << 32;
        // SAFETY: the command reads no address.
        Ok(Link(owned(unsafe { bpf(LINK_CREATE, &mut attributes) }?)?))
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn try_load(
        instructions: &[Instruction],
        functions: &[(usize, FunctionKind)],
        log: &mut [u8],
    ) -> io::Result<Self> {
        let types = if functions.is_empty() { None } else { Some(load_types()?) };
        let places = functions
            .iter()
            .map(|(place, kind)| u32::try_from(*place).map(|place| [place, kind.type_id()]));
        let places: Vec<[u32; 2]> = places.collect::<Result<_, _>>().map_err(io::Error::other)?;
        let mut attributes = Attributes::default();
        attributes[0] = CLASSIFIER | long(instructions.len()) << 32;
        attributes[1] = address(instructions);
        attributes[2] = u64::try_from(LICENSE.as_ptr().addr()).unwrap_or_default();
        if !log.is_empty() {
            attributes[3] = 1 | long(log.len()) << 32;
            attributes[4] = u64::try_from(log.as_mut_ptr().addr()).unwrap_or_default();
        }
        if let Some(types) = &types {
            attributes[9] = word(types.as_fd()) | long(size_of::<[u32; 2]>()) << 32;
            attributes[10] = address(&places);
            attributes[11] = long(places.len());
        }
        // SAFETY: the kernel reads the stated number of instructions of eight bytes each
        // (`Instruction` is `repr(C)` with this size), the license up to its zero byte, and the
        // stated number of places of functions, and writes at most the stated length to the log.
        Ok(Self(owned(unsafe { bpf(PROG_LOAD, &mut attributes) }?)?))
    }
}

impl Link {
    /// Replaces the program. Each packet is processed by the old or by the new one.
    pub(crate) fn update(&self, program: &Program) -> io::Result<()> {
        let mut attributes = Attributes::default();
        attributes[0] = word(self.0.as_fd()) | word(program.descriptor()) << 32;
        // SAFETY: the command reads no address.
        unsafe { bpf(LINK_UPDATE, &mut attributes) }.map(drop)
    }
}

/// Loads the type information of the functions of programs.
fn load_types() -> io::Result<OwnedFd> {
    let types = type_information();
    let mut attributes = Attributes::default();
    attributes[0] = address(&types);
    attributes[2] = long(types.len());
    // SAFETY: the kernel reads the stated length of the type information, and there is no log.
    owned(unsafe { bpf(BTF_LOAD, &mut attributes) }?)
}

/// The number of processors that the kernel has values for: one more than the last one in
/// `/sys/devices/system/cpu/possible`, such as `0-7`.
fn possible_processors() -> io::Result<usize> {
    /// It does not change while the kernel runs.
    static COUNT: OnceLock<usize> = OnceLock::new();
    if let Some(count) = COUNT.get() {
        return Ok(*count);
    }
    let text = std::fs::read_to_string("/sys/devices/system/cpu/possible")?;
    let last = text.trim().rsplit([',', '-']).next().and_then(|last| last.parse::<usize>().ok());
    let count = last.map(|last| last + 1).ok_or(io::ErrorKind::InvalidData)?;
    Ok(*COUNT.get_or_init(|| count))
}
