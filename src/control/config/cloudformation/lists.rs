//! Functions of a template that make or use lists.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::document::{Node, SourcePosition, Value};
use super::scope::{Evaluated, Scope, refuse, text_node};
use super::stack::WORK_PER_FUNCTION;

/// The maximum number of blocks of `Fn::Cidr`, as in CloudFormation.
const MAX_BLOCKS: u32 = 256;

impl<'s, 'a> Scope<'s, 'a> {
    /// The item of a list at an index. Only this item is evaluated.
    pub(super) fn selected(self, arguments: &[Node<'a>]) -> Evaluated<Option<Value<'a>>> {
        let [index, list] = arguments else {
            return refuse("Fn::Select", "an index and a list");
        };
        let index = self.number("Fn::Select", index)?;
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let len = match &list.value {
            Value::Array(items) => match items.get(index) {
                Some(item) => return Ok(self.value(item)?.map(|node| node.value)),
                None => items.len(),
            },
            _ => {
                let items = match self.value(list)?.map(|node| node.value) {
                    Some(Value::Array(items)) => items,
                    Some(Value::String(name)) => {
                        let item = self.item_of_text(list, &name, index);
                        return Ok(Some(text_node(list.position, item).value));
                    }
                    _ => return refuse("Fn::Select", "a list"),
                };
                match items.get(index) {
                    Some(item) => return Ok(Some(item.value.clone())),
                    None => items.len(),
                }
            }
        };
        let expected = format!("an index below the length of the list, {len}, got {index}");
        refuse("Fn::Select", expected)
    }

    /// The item of a list that an option gives with commas, or a name for the item of a list that
    /// is known only after deployment.
    fn item_of_text(self, list: &Node<'a>, name: &str, index: usize) -> String {
        let given = self.accepting_names(false).text("Fn::Select", list).ok();
        let item =
            given.and_then(|text| text.split(',').nth(index).map(|one| one.trim().to_owned()));
        item.unwrap_or_else(|| format!("{name}[{index}]"))
    }

    /// The parts of a text between delimiters.
    pub(super) fn split(
        self,
        arguments: &[Node<'a>],
        position: SourcePosition,
    ) -> Evaluated<Vec<Node<'a>>> {
        let [delimiter, text] = arguments else {
            return refuse("Fn::Split", "a delimiter and a string");
        };
        let delimiter = self.text("Fn::Split", delimiter)?;
        let mut whole = self.text("Fn::Split", text)?;
        if delimiter.is_empty() {
            return refuse("Fn::Split", "a delimiter that is not empty");
        }
        if !whole.contains(&delimiter) {
            // Part of the name of a resource is not part of its value.
            whole = self.accepting_names(false).text("Fn::Split", text)?;
        }
        self.charge(whole.matches(&*delimiter).count().saturating_mul(WORK_PER_FUNCTION))?;
        Ok(whole.split(&*delimiter).map(|part| text_node(position, part)).collect())
    }

    /// Adjacent CIDR blocks of equal size at the start of a block.
    pub(super) fn cidr_blocks(
        self,
        arguments: &[Node<'a>],
        position: SourcePosition,
    ) -> Evaluated<Vec<Node<'a>>> {
        let exact = self.accepting_names(false);
        let (block, count, bits) = match arguments {
            [block, count] => (block, count, 8),
            [block, count, bits] => (block, count, exact.number("Fn::Cidr", bits)?),
            _ => return refuse("Fn::Cidr", "a CIDR block, a count and the bits of each block"),
        };
        let block = exact.text("Fn::Cidr", block)?;
        let count = exact.number("Fn::Cidr", count)?;
        match blocks(&block, count, bits) {
            Some(blocks) => {
                Ok(blocks.into_iter().map(|block| text_node(position, block)).collect())
            }
            None => refuse(
                "Fn::Cidr",
                format!(
                    "a block that contains 1 to {MAX_BLOCKS} blocks, got {count} blocks with \
                     {bits} bits in `{block}`"
                ),
            ),
        }
    }

    fn number(self, function: &str, node: &Node<'a>) -> Evaluated<u32> {
        let text = self.accepting_names(false).text(function, node)?;
        match text.trim().parse() {
            Ok(number) => Ok(number),
            Err(_) => refuse(function, format!("a number, got `{text}`")),
        }
    }

    /// The first availability zones of the region.
    pub(super) fn availability_zones(self, position: SourcePosition) -> Vec<Node<'a>> {
        let region = self.region();
        ["a", "b", "c"].map(|zone| text_node(position, format!("{region}{zone}"))).to_vec()
    }
}

/// `count` blocks with `bits` bits for hosts, the first at the start of `block`.
fn blocks(block: &str, count: u32, bits: u32) -> Option<Vec<String>> {
    let (address, prefix) = block.split_once('/')?;
    let (address, prefix): (IpAddr, u32) = (address.parse().ok()?, prefix.parse().ok()?);
    let (start, width): (u128, u32) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let free = width.checked_sub(prefix)?.checked_sub(bits)?;
    let fits = free >= 9 || u64::from(count) <= 1_u64.checked_shl(free)?;
    if !(1..=MAX_BLOCKS).contains(&count) || !fits || bits >= width {
        return None;
    }
    let host_bits = width - prefix;
    let mask = if host_bits >= 128 { 0 } else { u128::MAX << host_bits };
    let made = (0..count).map(|index| {
        let first = (start & mask) + (u128::from(index) << bits);
        let address = match u32::try_from(first) {
            Ok(first) if width == 32 => IpAddr::V4(Ipv4Addr::from_bits(first)),
            _ => IpAddr::V6(Ipv6Addr::from_bits(first)),
        };
        format!("{address}/{}", width - bits)
    });
    Some(made.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_adjacent() {
        assert_eq!(
            blocks("10.0.0.0/16", 3, 8).unwrap(),
            ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]
        );
        assert_eq!(blocks("2001:db8::/56", 2, 64).unwrap(), ["2001:db8::/64", "2001:db8:0:1::/64"]);
        assert_eq!(blocks("0.0.0.0/0", 1, 31).unwrap(), ["0.0.0.0/1"]);
        assert_eq!(blocks("::/0", 256, 1).unwrap().len(), 256);
        for (block, count, bits) in [
            ("10.0.0.0/24", 2, 8),
            ("10.0.0.0/16", 0, 8),
            ("10.0.0.0/16", 257, 4),
            ("10.0.0.0/33", 1, 4),
            ("::/0", 1, 128),
            ("x", 1, 1),
        ] {
            assert_eq!(blocks(block, count, bits), None, "{block} {count} {bits}");
        }
    }
}
