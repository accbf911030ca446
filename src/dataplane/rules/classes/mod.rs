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
//! not wait for each other. (All tables for one packet, then the next, took half as long again.) The
//! tables of IPv4 are few and always in the same order, so that fields are looked up where they
//! cross (`straight`).

mod cross;
mod field;
mod interner;
mod straight;

use cross::{Cross, NO_RULE, Plan};
use field::FieldClasses;
use straight::Straight;

use super::NOBODY;
use super::list::RuleList;
use crate::dataplane::flow_key::FlowKey;

/// How many packets go through together.
const WIDTH: usize = 64;

/// Places for the classes of a burst: one row a field and a table.
type Slots = [[u16; WIDTH]; MOST_SLOTS];

/// Rows that IPv6 needs at the most: 19 fields, 17 tables.
const MOST_SLOTS: usize = 36;

/// Rules as class tables.
#[derive(Debug)]
pub(super) struct Classes {
    fields: Vec<FieldClasses>,
    crosses: Vec<Cross>,
    answers: Cross,
}

impl Classes {
    /// Nothing where the tables would be too large, or take too long to build.
    pub(super) fn new(list: &RuleList<'_>, is_ipv4: bool, most_bytes: usize) -> Option<Self> {
        let (fields, crosses, answers) = Plan::carry_out(list, is_ipv4, most_bytes)?;
        let these = Self { fields, crosses, answers };
        (these.fields.len() + these.crosses.len() <= MOST_SLOTS).then_some(these)
    }

    /// Puts the place of the rule that decides on each key into `answers`, or `u32::MAX`.
    pub(super) fn classify(&self, keys: &[FlowKey], answers: &mut [u32]) {
        if let (Ok(fields), Ok(crosses)) =
            (self.fields.as_slice().try_into(), self.crosses.as_slice().try_into())
        {
            let straight = Straight { fields, crosses, answers: &self.answers };
            return straight.classify(keys, answers);
        }
        for (keys, answers) in keys.chunks(WIDTH).zip(answers.chunks_mut(WIDTH)) {
            self.walk(keys, answers);
        }
    }

    /// A burst through table after table.
    #[inline]
    fn walk(&self, keys: &[FlowKey], answers: &mut [u32]) {
        let mut slots: Slots = [[0; WIDTH]; MOST_SLOTS];
        for (field, row) in self.fields.iter().zip(&mut slots) {
            field.look_up(keys, row);
        }
        for (at, cross) in (self.fields.len()..).zip(&self.crosses) {
            let Some((known, [row, ..])) = slots.split_at_mut_checked(at) else { return };
            if let Some(row) = row.get_mut(..keys.len()) {
                cross.look_up(known, row);
            }
        }
        let mut places = [NO_RULE; WIDTH];
        self.answers.look_up(&slots, &mut places);
        for (answer, place) in answers.iter_mut().zip(places) {
            *answer = if place == NO_RULE { NOBODY } else { u32::from(place) };
        }
    }

    /// How many look-ups a packet takes: one for each field and table.
    pub(super) fn depth(&self) -> usize {
        self.fields.len() + self.crosses.len() + 1
    }

    /// In bytes.
    pub(super) fn memory(&self) -> usize {
        self.fields.iter().map(FieldClasses::memory).sum::<usize>()
            + self.crosses.iter().map(Cross::memory).sum::<usize>()
            + self.answers.memory()
    }
}
