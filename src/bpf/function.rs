//! The functions of a program, and their type information (BTF, Documentation/bpf/btf.rst).
//!
//! The verifier examines a local function again at each call, with what it knows there. It examines
//! a *global* function once, knowing nothing of the callers. For this it needs the types of all
//! functions. Those that this module describes take the `__sk_buff` and return a number.
//!
//! ```text
//! id 1 int   2 struct __sk_buff   3 pointer to 2   4 prototype (3) -> 1
//! id 5 local function   6 global function
//! ```

/// How the verifier examines a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionKind {
    /// At each call.
    Local,
    /// Once. It has one argument, the `__sk_buff` in R1, and cannot use the stack of its callers.
    Global,
}

impl FunctionKind {
    /// The id of its type in [`type_information`].
    #[must_use]
    pub const fn type_id(self) -> u32 {
        match self {
            Self::Local => 5,
            Self::Global => 6,
        }
    }
}

const INT: u32 = 1 << 24;
const POINTER: u32 = 2 << 24;
const STRUCT: u32 = 4 << 24;
const FUNCTION: u32 = 12 << 24;
const PROTOTYPE: u32 = 13 << 24;
const MAGIC: u16 = 0xeb9f;
const HEADER_LEN: u32 = 24;

/// The type information of the functions of a program.
#[must_use]
pub fn type_information() -> Vec<u8> {
    let strings = b"\0int\0__sk_buff\0skb\0local\0global\0";
    let [int, buffer, skb, local, global] = [1, 5, 15, 19, 25];
    let types: [&[u32]; 6] = [
        // Signed (bit 24), of 32 bits.
        &[int, INT, 4, 1 << 24 | 32],
        &[buffer, STRUCT, 0],
        &[0, POINTER, 2],
        &[0, PROTOTYPE | 1, 1, skb, 3],
        &[local, FUNCTION, 4],
        &[global, FUNCTION | 1, 4],
    ];
    let types: Vec<u8> = types.concat().iter().flat_map(|word| word.to_ne_bytes()).collect();
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut bytes = MAGIC.to_ne_bytes().to_vec();
    bytes.extend([1, 0]);
    let header = [HEADER_LEN, 0, len(&types), len(&types), len(strings)];
    bytes.extend(header.iter().flat_map(|word| word.to_ne_bytes()));
    bytes.extend(types);
    bytes.extend(strings);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_where_the_types_say() {
        let bytes = type_information();
        for (name, offset) in
            [("int", 1), ("__sk_buff", 5), ("skb", 15), ("local", 19), ("global", 25)]
        {
            let strings = bytes.windows(4).position(|window| window == b"\0int").unwrap();
            let found = &bytes[strings + offset..strings + offset + name.len() + 1];
            assert_eq!(found, format!("{name}\0").as_bytes());
        }
    }
}
