//! The tables of IPv4, which are few and always in the same order.
//!
//! Two fields are looked up and cross in one go, so that less is put down and taken up again.

use super::cross::{Cross, NO_RULE};
use super::field::{Field, FieldClasses, class_of};
use super::{NOBODY, WIDTH};
use crate::dataplane::flow_key::FlowKey;

/// How many fields IPv4 has.
const FIELDS: usize = 7;

/// The place of the table of sources among fields and tables; that of destinations follows.
const SOURCE: usize = FIELDS;

/// That of services: ports, which is in front of it, and protocol.
const SERVICE: usize = FIELDS + 3;

/// Seven fields and five tables in the order in which they are made, and the last table.
pub(super) struct Straight<'a> {
    pub(super) fields: &'a [FieldClasses; FIELDS],
    pub(super) crosses: &'a [Cross; 5],
    pub(super) answers: &'a Cross,
}

/// A class for each packet.
type Row = [u16; WIDTH];

/// A field with its classes.
type Known<'a> = (Field, &'a FieldClasses);

impl Straight<'_> {
    /// Puts the place of the rule that decides on each key into `answers`, or [`NOBODY`].
    pub(super) fn classify(&self, keys: &[FlowKey], answers: &mut [u32]) {
        let [source_high, source_low, destination_high, destination_low, ..] = self.fields;
        let [sources, destinations, _, _, both] = self.crosses;
        let [mut source, mut destination, mut service, mut joined] = [[0; WIDTH]; 4];
        for (keys, answers) in keys.chunks(WIDTH).zip(answers.chunks_mut(WIDTH)) {
            let high = (Field::Address(0), source_high);
            pair(keys, high, (Field::Address(1), source_low), sources, &mut source);
            let high = (Field::Address(8), destination_high);
            pair(keys, high, (Field::Address(9), destination_low), destinations, &mut destination);
            self.services(keys, &mut service);
            // What the last table takes is what did not cross before.
            let (left, right, last) = match self.answers.right() {
                place if place == SERVICE => (&source, &destination, &service),
                _ if both.left() == SOURCE => (&source, &service, &destination),
                _ => (&destination, &service, &source),
            };
            for ((class, left), right) in joined.iter_mut().zip(left).zip(right) {
                *class = both.cell(*left, *right);
            }
            for ((answer, left), right) in answers.iter_mut().zip(&joined).zip(last) {
                let place = self.answers.cell(*left, *right);
                *answer = if place == NO_RULE { NOBODY } else { u32::from(place) };
            }
        }
    }

    #[inline(always)]
    fn services(&self, keys: &[FlowKey], classes: &mut Row) {
        let [.., source, destination, protocol] = self.fields;
        let [_, _, ports, services, _] = self.crosses;
        let ends = [(Field::SourcePort, source), (Field::DestinationPort, destination)];
        let [source, destination] = ends;
        pair(keys, source, destination, ports, classes);
        let absent = ports.cell(source.1.absent(), destination.1.absent());
        let Some(by_value) = protocol.by_value() else {
            for (key, class) in keys.iter().zip(classes) {
                *class = services.cell(if key.has_ports { *class } else { absent }, 0);
            }
            return;
        };
        for (key, class) in keys.iter().zip(classes) {
            let port = if key.has_ports { *class } else { absent };
            *class = services.cell(port, class_of(by_value, key.protocol));
        }
    }
}

/// Where the classes of two fields cross.
#[inline(always)]
fn pair(
    keys: &[FlowKey],
    (left, left_classes): Known<'_>,
    (right, right_classes): Known<'_>,
    cross: &Cross,
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
