//! Cross-product tables: recursive flow classification (Gupta and McKeown, "Packet Classification
//! on Multiple Fields", SIGCOMM 1999), over the rules of all sessions.
//!
//! Two values of a field have the same class if the same rules allow them. A table has a row for
//! each class of one field and a column for each class of another; its cells are classes of both
//! fields together. Such tables are combined until the cells of the last table are answers. Each
//! packet takes the same few lookups, whether it matches or not. The order of sessions and the
//! actions of rules are evaluated when the tables are built.
//!
//! Example: rule 0 allows port 80 with TCP, rule 1 allows all ports with TCP. The classes of ports
//! are A = {80} with the rules {0, 1} and B = {all others} with {1}; the classes of protocols are C
//! = {TCP} with {0, 1} and D = {all others} with {}. The table of both has the cells A,C = {0, 1},
//! B,C = {1}, A,D = B,D = {}, and thus three classes. If both rules accept, the answers are 0, 1
//! and none.
//!
//! ```text
//! source high --\
//!                +- source -------\
//! source low  --/                  \
//!                                   +-- ends --\
//! destination high --\             /            \
//!                     +- destination             +-- answer
//! destination low  --/                          /
//!                                              /
//! source port --\                             /
//!                +-- ports --\               /
//! dest. port  --/             +-- service --/
//! protocol    ---------------/
//! ```
//!
//! A batch is evaluated table after table, not packet after packet, so that the lookups of one
//! table overlap. (All tables for one packet and then the next packet took 1.5 times as long.) Both
//! fields of a table are looked up in the same loop, so that few intermediate results are stored.
//!
//! The figure shows IPv4, where the class of 16 bits is read from an array with an entry for each
//! value. An IPv6 address has eight times 16 bits, and so many lookups took twice as long as a
//! forest; its class is found in a search tree and a hash table (`ipv6_classes`).

mod address_classes;
mod class_ranges;
mod cross_table;
mod eight_keys;
mod field;
mod host_table;
mod interner;
mod ipv6_classes;
mod service_classes;
mod wide_field;

use address_classes::AddressClasses;
use cross_table::{BATCH_LEN, CrossTable, NO_RULE, TableBuilder};
use service_classes::ServiceClasses;

use super::answer::Answer;
use super::list::RuleList;
use crate::dataplane::flow_key::FlowKey;

/// Rules as cross-product tables.
#[derive(Debug)]
pub(super) struct CrossProduct {
    source: AddressClasses,
    destination: AddressClasses,
    service: ServiceClasses,
    order: JoinOrder,
    both: CrossTable,
    answers: CrossTable,
}

/// Which two of source, destination and service are combined first; the third is combined last.
#[derive(Debug, Clone, Copy)]
enum JoinOrder {
    Addresses,
    SourceAndService,
    DestinationAndService,
}

impl CrossProduct {
    /// Tables for the rules of one address family; `None` if they would be too large or take too
    /// long to build.
    pub(super) fn new(list: &RuleList<'_>, is_ipv4: bool, max_bytes: usize) -> Option<Self> {
        let mut builder = TableBuilder::new(list, max_bytes)?;
        let (source, sources) = AddressClasses::new(&mut builder, is_ipv4, false)?;
        let (destination, destinations) = AddressClasses::new(&mut builder, is_ipv4, true)?;
        let (service, services) = ServiceClasses::new(&mut builder)?;
        let orders = [
            (JoinOrder::Addresses, &sources, &destinations, &services),
            (JoinOrder::SourceAndService, &sources, &services, &destinations),
            (JoinOrder::DestinationAndService, &destinations, &services, &sources),
        ];
        // Choose the order in which both tables together have the fewest cells.
        let mut best = None;
        let mut fewest_cells = usize::MAX;
        for (order, left, right, last) in orders {
            let crossed = builder.cross_before(last, (left, right), fewest_cells);
            if let Some((both, sets)) = crossed {
                fewest_cells = both.len() + sets.len() * last.len();
                best = Some((order, both, sets, last));
            }
        }
        let (order, both, sets, last) = best?;
        builder.reserve(both.memory())?;
        let answers = builder.answers(&sets, last)?;
        Some(Self { source, destination, service, order, both, answers })
    }

    /// Writes to `answers` the index of the rule that decides on each key, or [`Answer::NONE`].
    pub(super) fn classify(&self, keys: &[FlowKey], answers: &mut [Answer]) {
        let [mut source, mut destination, mut service, mut joined] = [[0; BATCH_LEN]; 4];
        for (keys, answers) in keys.chunks(BATCH_LEN).zip(answers.chunks_mut(BATCH_LEN)) {
            self.source.look_up(keys, &mut source);
            self.destination.look_up(keys, &mut destination);
            self.service.look_up(keys, &mut service);
            let (left, right, last) = match self.order {
                JoinOrder::Addresses => (&source, &destination, &service),
                JoinOrder::SourceAndService => (&source, &service, &destination),
                JoinOrder::DestinationAndService => (&destination, &service, &source),
            };
            for ((class, left), right) in joined.iter_mut().zip(left).zip(right) {
                *class = self.both.cell(*left, *right);
            }
            for ((answer, left), right) in answers.iter_mut().zip(&joined).zip(last) {
                let place = self.answers.cell(*left, *right);
                *answer = if place == NO_RULE { Answer::NONE } else { Answer::new(place.into()) };
            }
        }
    }

    /// The number of lookups for a packet.
    pub(super) fn depth(&self) -> usize {
        self.source.depth() + self.destination.depth() + ServiceClasses::DEPTH + 2
    }

    /// Memory in bytes.
    pub(super) fn memory(&self) -> usize {
        let crosses = self.both.memory() + self.answers.memory();
        self.source.memory() + self.destination.memory() + self.service.memory() + crosses
    }
}
