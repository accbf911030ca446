//! The class of an address. For IPv4, the classes of its two halves of 16 bits are combined in one
//! table.

use super::cross_table::{CrossTable, Row, TableBuilder};
use super::field::{Field, FieldClasses, class_of};
use super::interner::ClassSets;
use super::ipv6_classes::Ipv6Classes;
use crate::dataplane::flow_key::FlowKey;

/// The classes of source or destination addresses of one family.
#[derive(Debug)]
pub(super) enum AddressClasses {
    V4(Ipv4Classes),
    V6(Ipv6Classes),
}

impl AddressClasses {
    pub(super) fn new(
        builder: &mut TableBuilder<'_>,
        is_ipv4: bool,
        is_destination: bool,
    ) -> Option<(Self, ClassSets)> {
        if is_ipv4 {
            let (classes, sets) = Ipv4Classes::new(builder, is_destination)?;
            Some((Self::V4(classes), sets))
        } else {
            let (classes, sets) = Ipv6Classes::new(builder, is_destination)?;
            Some((Self::V6(classes), sets))
        }
    }

    /// Writes the class of each key to `row`.
    #[inline]
    pub(super) fn look_up(&self, keys: &[FlowKey], row: &mut Row) {
        match self {
            Self::V4(classes) => classes.look_up(keys, row),
            Self::V6(classes) => classes.look_up(keys, row),
        }
    }

    /// The number of lookups for a packet.
    pub(super) const fn depth(&self) -> usize {
        match self {
            Self::V4(_) => 3,
            Self::V6(classes) => classes.depth(),
        }
    }

    /// Memory in bytes.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::V4(classes) => classes.memory(),
            Self::V6(classes) => classes.memory(),
        }
    }
}

/// The classes of IPv4 addresses.
#[derive(Debug)]
pub(super) struct Ipv4Classes {
    is_destination: bool,
    high: FieldClasses,
    low: FieldClasses,
    cross: CrossTable,
}

impl Ipv4Classes {
    fn new(builder: &mut TableBuilder<'_>, is_destination: bool) -> Option<(Self, ClassSets)> {
        let [high, low] = halves(is_destination);
        let ((high, rows), (low, columns)) = (builder.field(high)?, builder.field(low)?);
        let (cross, sets) = builder.cross(&rows, &columns)?;
        Some((Self { is_destination, high, low, cross }, sets))
    }

    /// Writes the class of each key to `row`.
    #[inline]
    fn look_up(&self, keys: &[FlowKey], row: &mut Row) {
        let classes = [&self.high, &self.low];
        // Branch here and not in the loop, where the fields are then constants.
        if self.is_destination {
            cross_fields(keys, halves(true), classes, &self.cross, row);
        } else {
            cross_fields(keys, halves(false), classes, &self.cross, row);
        }
    }

    /// Memory in bytes.
    fn memory(&self) -> usize {
        self.high.memory() + self.low.memory() + self.cross.memory()
    }
}

/// The fields of both halves of an address.
const fn halves(is_destination: bool) -> [Field; 2] {
    let first = if is_destination { 8 } else { 0 };
    [Field::Address(first), Field::Address(first + 1)]
}

/// Looks up the classes of two fields and combines them.
#[inline(always)]
pub(super) fn cross_fields(
    keys: &[FlowKey],
    [left, right]: [Field; 2],
    [left_classes, right_classes]: [&FieldClasses; 2],
    cross: &CrossTable,
    classes: &mut Row,
) {
    let pairs = keys.iter().zip(classes);
    match (left_classes.by_value(), right_classes.by_value()) {
        (Some(rows), Some(columns)) => pairs.for_each(|(key, class)| {
            let row = class_of(rows, left.value(key));
            *class = cross.cell(row, class_of(columns, right.value(key)));
        }),
        (Some(rows), None) => pairs.for_each(|(key, class)| {
            *class = cross.cell(class_of(rows, left.value(key)), 0);
        }),
        (None, Some(columns)) => pairs.for_each(|(key, class)| {
            *class = cross.cell(0, class_of(columns, right.value(key)));
        }),
        (None, None) => pairs.for_each(|(_, class)| *class = cross.cell(0, 0)),
    }
}
