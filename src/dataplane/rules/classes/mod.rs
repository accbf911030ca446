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

mod cross;
mod end;
mod field;
mod interner;
mod service;

use cross::{Cross, NO_RULE, Plan};
use end::End;
use service::Service;

use super::NOBODY;
use super::list::RuleList;
use crate::dataplane::flow_key::FlowKey;

/// How many packets go through together.
const WIDTH: usize = 64;

/// A class for each of them.
type Row = [u16; WIDTH];

/// Rules as class tables.
#[derive(Debug)]
pub(super) struct Classes {
    source: End,
    destination: End,
    service: Service,
    first: First,
    both: Cross,
    answers: Cross,
}

/// Which two of source, destination and service cross first; the third crosses last.
#[derive(Debug, Clone, Copy)]
enum First {
    Ends,
    SourceAndService,
    DestinationAndService,
}

impl Classes {
    /// For rules of IPv4. Nothing where the tables would be too large, or take too long to build.
    pub(super) fn new(list: &RuleList<'_>, most_bytes: usize) -> Option<Self> {
        Plan::carry_out(list, most_bytes)
    }

    /// Puts the place of the rule that decides on each key into `answers`, or [`NOBODY`].
    pub(super) fn classify(&self, keys: &[FlowKey], answers: &mut [u32]) {
        let [mut source, mut destination, mut service, mut joined] = [[0; WIDTH]; 4];
        for (keys, answers) in keys.chunks(WIDTH).zip(answers.chunks_mut(WIDTH)) {
            self.source.look_up(keys, &mut source);
            self.destination.look_up(keys, &mut destination);
            self.service.look_up(keys, &mut service);
            let (left, right, last) = match self.first {
                First::Ends => (&source, &destination, &service),
                First::SourceAndService => (&source, &service, &destination),
                First::DestinationAndService => (&destination, &service, &source),
            };
            for ((class, left), right) in joined.iter_mut().zip(left).zip(right) {
                *class = self.both.cell(*left, *right);
            }
            for ((answer, left), right) in answers.iter_mut().zip(&joined).zip(last) {
                let place = self.answers.cell(*left, *right);
                *answer = if place == NO_RULE { NOBODY } else { u32::from(place) };
            }
        }
    }

    /// How many look-ups a packet takes.
    pub(super) const fn depth(&self) -> usize {
        2 * End::DEPTH + Service::DEPTH + 2
    }

    /// In bytes.
    pub(super) fn memory(&self) -> usize {
        let crosses = self.both.memory() + self.answers.memory();
        self.source.memory() + self.destination.memory() + self.service.memory() + crosses
    }
}
