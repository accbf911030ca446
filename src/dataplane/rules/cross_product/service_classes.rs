//! The class of ports and protocol.

use super::address_classes::cross_fields;
use super::cross_table::{CrossTable, Row, TableBuilder};
use super::field::{Field, FieldClasses, class_of};
use super::interner::ClassSets;
use crate::dataplane::flow_key::FlowKey;

/// The classes of services: source port, destination port and protocol.
#[derive(Debug)]
pub(super) struct ServiceClasses {
    source: FieldClasses,
    destination: FieldClasses,
    ports: CrossTable,
    /// The class of the ports of a packet without ports.
    without_ports: u16,
    protocol: FieldClasses,
    services: CrossTable,
}

impl ServiceClasses {
    pub(super) fn new(builder: &mut TableBuilder<'_>) -> Option<(Self, ClassSets)> {
        let (source, sources) = builder.field(Field::SourcePort)?;
        let (destination, destinations) = builder.field(Field::DestinationPort)?;
        let (ports, of_ports) = builder.cross(&sources, &destinations)?;
        let (protocol, protocols) = builder.field(Field::Protocol)?;
        let (services, sets) = builder.cross(&of_ports, &protocols)?;
        let without_ports = ports.cell(source.absent(), destination.absent());
        Some((Self { source, destination, ports, without_ports, protocol, services }, sets))
    }

    /// Writes the class of each key to `row`.
    #[inline]
    pub(super) fn look_up(&self, keys: &[FlowKey], row: &mut Row) {
        let fields = [Field::SourcePort, Field::DestinationPort];
        cross_fields(keys, fields, [&self.source, &self.destination], &self.ports, row);
        let of_ports = |key: &FlowKey, known: u16| {
            if key.has_ports { known } else { self.without_ports }
        };
        let pairs = keys.iter().zip(row);
        match self.protocol.by_value() {
            None => pairs.for_each(|(key, class)| {
                *class = self.services.cell(of_ports(key, *class), 0);
            }),
            Some(by_value) => pairs.for_each(|(key, class)| {
                let protocol = class_of(by_value, key.protocol);
                *class = self.services.cell(of_ports(key, *class), protocol);
            }),
        }
    }

    /// The number of lookups for a packet.
    pub(super) const DEPTH: usize = 5;

    /// Memory in bytes.
    pub(super) fn memory(&self) -> usize {
        let fields = [&self.source, &self.destination, &self.protocol];
        let crosses = [&self.ports, &self.services];
        fields.into_iter().map(FieldClasses::memory).sum::<usize>()
            + crosses.into_iter().map(CrossTable::memory).sum::<usize>()
    }
}
