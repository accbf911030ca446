//! Loads a program: resolves its references to maps and to functions of the kernel.

use std::io;
use std::os::fd::AsRawFd;

use super::btf::KernelTypes;
use super::error::KernelTierError;
use crate::bpf::{Code, Reference};
use crate::io::sys::bpf::{Map, Program};

/// Loads a program whose map slots are the indices of `maps`. `types` has the ids
/// of the kernel's functions.
pub(super) fn load(
    code: &Code,
    maps: &[&Map],
    types: &KernelTypes,
) -> Result<Program, KernelTierError> {
    let unknown = || KernelTierError::Io(io::ErrorKind::NotFound.into());
    let instructions = code.resolved(|reference| match reference {
        Reference::Map(slot) => {
            let map = maps.get(usize::from(slot.0)).ok_or_else(unknown)?;
            Ok::<i32, KernelTierError>(map.descriptor().as_raw_fd())
        }
        Reference::Function(function) => {
            i32::try_from(types.function_id(function)).map_err(|_| unknown())
        }
    })?;
    Ok(Program::load(&instructions, code.functions())?)
}
