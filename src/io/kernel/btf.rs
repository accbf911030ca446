//! Reads the type information of the kernel (BTF, Documentation/bpf/btf.rst).

use std::io;

use crate::bpf::KernelFunction;

/// Kinds of types.
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const FUNCTION: u32 = 12;

/// Maximum depth of anonymous structures within each other.
const MAX_DEPTH: usize = 16;

/// A bit field: `*(u8 *)(structure + offset) >> shift & mask`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BitField {
    /// Offset of its byte in bytes.
    pub(super) offset: u16,
    /// Number of bits to the right of it.
    pub(super) shift: u8,
    /// As many ones as it has bits.
    pub(super) mask: u8,
}

/// What the programs need of the types of the running kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KernelTypes {
    cast_to_kernel_context: u32,
    /// `sk_buff.ip_summed`.
    pub(super) ip_summed: BitField,
}

impl KernelTypes {
    /// Reads `/sys/kernel/btf/vmlinux`, in about 20 ms.
    ///
    /// # Errors
    /// The kernel has no type information, or it lacks a needed type.
    pub(super) fn read() -> io::Result<Self> {
        let bytes = std::fs::read("/sys/kernel/btf/vmlinux")?;
        let lacking = "the kernel's type information lacks a needed type";
        Self::parse(&bytes).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, lacking))
    }

    /// The BTF id of a function.
    #[must_use]
    pub(super) const fn function_id(&self, function: KernelFunction) -> u32 {
        match function {
            KernelFunction::CastToKernelContext => self.cast_to_kernel_context,
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let types = Types::parse(bytes)?;
        let name = KernelFunction::CastToKernelContext.name();
        let cast_to_kernel_context = u32::try_from(types.find(FUNCTION, name)?).ok()?;
        let (bit, bits) = types.member(types.find(STRUCT, "sk_buff")?, "ip_summed", MAX_DEPTH)?;
        let shift = u8::try_from(bit % 8).ok()?;
        // A bit field in two bytes cannot be read by one load of a byte.
        if bits == 0 || bits + bit % 8 > 8 {
            return None;
        }
        let mask = u8::try_from((1_u32 << bits) - 1).ok()?;
        let offset = u16::try_from(bit / 8).ok()?;
        Some(Self { cast_to_kernel_context, ip_summed: BitField { offset, shift, mask } })
    }
}

/// The types, and where each begins.
struct Types<'a> {
    bytes: &'a [u8],
    names: &'a [u8],
    /// By id; the first is unused.
    offsets: Vec<usize>,
}

impl<'a> Types<'a> {
    /// The header has the magic number, its own length, and offset and length of both sections.
    fn parse(file: &'a [u8]) -> Option<Self> {
        let header_len = number(file, 4)?;
        let sections = file.get(header_len..)?;
        let (start, len) = (number(file, 8)?, number(file, 12)?);
        let bytes = sections.get(start..)?.get(..len)?;
        let (start, len) = (number(file, 16)?, number(file, 20)?);
        let names = sections.get(start..)?.get(..len)?;
        let mut offsets = vec![0];
        let mut at = 0;
        while at < bytes.len() {
            offsets.push(at);
            let info = word(bytes, at + 4)?;
            let count = usize::try_from(info & 0xffff).ok()?;
            at += 12
                + match info >> 24 & 31 {
                    1 | 14 | 17 => 4,
                    3 => 12,
                    STRUCT | UNION | 15 | 19 => 12 * count,
                    6 | 13 => 8 * count,
                    _ => 0,
                };
        }
        Some(Self { bytes, names, offsets })
    }

    /// The id of a type.
    fn find(&self, kind: u32, name: &str) -> Option<usize> {
        let is_found = |at: usize| {
            let info = word(self.bytes, at + 4)?;
            (info >> 24 & 31 == kind && self.is_named(at, name)).then_some(())
        };
        (1..self.offsets.len())
            .find(|id| self.offsets.get(*id).copied().and_then(is_found).is_some())
    }

    /// The offset and length in bits of a member, possibly in an anonymous structure or union.
    fn member(&self, id: usize, name: &str, depth: usize) -> Option<(u32, u32)> {
        let at = *self.offsets.get(id).filter(|_| id > 0 && depth > 0)?;
        let info = word(self.bytes, at + 4)?;
        if !matches!(info >> 24 & 31, STRUCT | UNION) {
            return None;
        }
        (0..usize::try_from(info & 0xffff).ok()?).find_map(|index| {
            let at = at + 12 + 12 * index;
            let place = word(self.bytes, at + 8)?;
            let has_bit_fields = info >> 31 == 1;
            let (bit, bits) =
                if has_bit_fields { (place & 0xff_ffff, place >> 24) } else { (place, 0) };
            if self.is_named(at, name) {
                return Some((bit, bits));
            }
            if number(self.bytes, at)? != 0 {
                return None;
            }
            let (inner, bits) = self.member(number(self.bytes, at + 4)?, name, depth - 1)?;
            Some((bit.checked_add(inner)?, bits))
        })
    }

    /// Whether the name of the type or member at an offset is `name`.
    fn is_named(&self, at: usize, name: &str) -> bool {
        let rest = number(self.bytes, at).and_then(|start| self.names.get(start..));
        let rest = rest.and_then(|rest| rest.strip_prefix(name.as_bytes()));
        rest.is_some_and(|rest| rest.first() == Some(&0))
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(word(bytes, at)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function, and a structure with `ip_summed` of two bits at bit 13 of an anonymous structure
    /// at byte 4.
    fn synthetic() -> Vec<u8> {
        let names = b"\0bpf_cast_to_kern_ctx\0sk_buff\0ip_summed\0";
        let types = [
            [1, FUNCTION << 24, 0].as_slice(),
            &[0, 1 << 31 | STRUCT << 24 | 1, 8, 30, 0, 2 << 24 | 13],
            &[22, STRUCT << 24 | 1, 8, 0, 2, 32],
        ]
        .concat();
        let (type_len, name_len) = (u32::try_from(types.len() * 4).unwrap(), 40);
        assert_eq!(names.len(), 40);
        let header = [0x0001_eb9f, 24, 0, type_len, type_len, name_len];
        let mut bytes: Vec<u8> =
            header.iter().chain(&types).flat_map(|word: &u32| word.to_ne_bytes()).collect();
        bytes.extend(names);
        bytes
    }

    #[test]
    fn a_function_and_a_nested_bit_field_are_found() {
        let types = KernelTypes::parse(&synthetic()).unwrap();
        assert_eq!(types.function_id(KernelFunction::CastToKernelContext), 1);
        assert_eq!(types.ip_summed, BitField { offset: 5, shift: 5, mask: 3 });
    }

    #[test]
    fn truncated_and_changed_bytes_do_not_panic() {
        let whole = synthetic();
        for len in 0..whole.len() {
            assert_eq!(KernelTypes::parse(&whole[..len]), None, "{len}");
            for value in 0..=255 {
                let mut changed = whole.clone();
                changed[len] = value;
                let _ = KernelTypes::parse(&changed);
            }
        }
    }

    #[test]
    fn the_types_of_this_kernel_are_read() {
        match KernelTypes::read() {
            Ok(types) => assert_eq!(types.ip_summed.mask, 3),
            Err(error) => eprintln!("NOT RUN: no type information of the kernel: {error}"),
        }
    }
}
