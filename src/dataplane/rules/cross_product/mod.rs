//! Class tables: recursive flow classification (Gupta and McKeown, "Packet Classification on
//! Multiple Fields", SIGCOMM 1999), fused over sessions.
//!
//! Values of a field that no rule tells apart are one class. Two classes cross in a table whose
//! cells are classes again, until one table is left whose cells are answers. A packet costs the
//! same few look-ups whether it matches or not; what the sessions make of the matches is worked
//! out when the tables are built.
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
//! A burst goes through table after table, not packet after packet: the look-ups of one table do
//! not wait for each other. (All tables for one packet, then the next, took half as long again.)
//! Fields are looked up where they cross, so that little is put down and taken up again.
//!
//! Only for IPv4: eight parts of an IPv6 address are eight fields, and the 36 look-ups that they
//! make take twice as long as a forest does.

mod address_classes;
mod cross_table;
mod field;
mod interner;
mod service_classes;

use address_classes::AddressClasses;
use cross_table::{BATCH_LEN, CrossTable, NO_RULE, TableBuilder};
use service_classes::ServiceClasses;

use super::list::{NO_MATCH, RuleList};
use crate::dataplane::flow_key::FlowKey;

/// Rules as class tables.
#[derive(Debug)]
pub(super) struct CrossProduct {
    source: AddressClasses,
    destination: AddressClasses,
    service: ServiceClasses,
    order: JoinOrder,
    both: CrossTable,
    answers: CrossTable,
}

/// Which two of source, destination and service cross first; the third crosses last.
#[derive(Debug, Clone, Copy)]
enum JoinOrder {
    Addresses,
    SourceAndService,
    DestinationAndService,
}

impl CrossProduct {
    /// For rules of IPv4. Nothing where the tables would be too large, or take too long to build.
    pub(super) fn new(list: &RuleList<'_>, max_bytes: usize) -> Option<Self> {
        let mut builder = TableBuilder::new(list, max_bytes)?;
        let (source, sources) = AddressClasses::new(&mut builder, false)?;
        let (destination, destinations) = AddressClasses::new(&mut builder, true)?;
        let (service, services) = ServiceClasses::new(&mut builder)?;
        let orders = [
            (JoinOrder::Addresses, &sources, &destinations, &services),
            (JoinOrder::SourceAndService, &sources, &services, &destinations),
            (JoinOrder::DestinationAndService, &destinations, &services, &sources),
        ];
        // The two that cross first are those with which both tables have the fewest cells.
        let tries = orders.into_iter().filter_map(|(order, left, right, last)| {
            let (both, sets) = builder.try_cross(left, right)?;
            let cost = both.len() + sets.len() * last.len();
            Some((cost, order, both, sets, last))
        });
        let (_, order, both, sets, last) = tries.min_by_key(|(cost, ..)| *cost)?;
        builder.reserve(both.memory())?;
        let answers = builder.answers(&sets, last)?;
        Some(Self { source, destination, service, order, both, answers })
    }

    /// Puts the place of the rule that decides on each key into `answers`, or [`NO_MATCH`].
    pub(super) fn classify(&self, keys: &[FlowKey], answers: &mut [u32]) {
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
                *answer = if place == NO_RULE { NO_MATCH } else { u32::from(place) };
            }
        }
    }

    /// How many look-ups a packet takes.
    pub(super) const fn depth(&self) -> usize {
        2 * AddressClasses::DEPTH + ServiceClasses::DEPTH + 2
    }

    /// In bytes.
    pub(super) fn memory(&self) -> usize {
        let crosses = self.both.memory() + self.answers.memory();
        self.source.memory() + self.destination.memory() + self.service.memory() + crosses
    }
}
