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
//! not wait for each other.

mod cross;
mod field;
mod interner;

use cross::{Cross, NO_RULE, Plan};
use field::FieldClasses;

use super::NOBODY;
use super::list::RuleList;
use crate::dataplane::flow_key::FlowKey;

/// How many packets go through together.
const WIDTH: usize = 64;

/// Places for the classes of a burst: one row a field and a table.
type Slots<const N: usize> = [[u16; WIDTH]; N];

/// Rows that IPv4 needs at the most: seven fields, five tables.
const FEW_SLOTS: usize = 12;

/// Rows that IPv6 needs at the most: 19 fields, 17 tables.
const MANY_SLOTS: usize = 36;

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
        (these.fields.len() + these.crosses.len() <= MANY_SLOTS).then_some(these)
    }

    /// Puts the place of the rule that decides on each key into `answers`, or `u32::MAX`.
    pub(super) fn classify(&self, keys: &[FlowKey], answers: &mut [u32]) {
        let rows = self.fields.len() + self.crosses.len();
        for (keys, answers) in keys.chunks(WIDTH).zip(answers.chunks_mut(WIDTH)) {
            if rows <= FEW_SLOTS {
                self.walk::<FEW_SLOTS>(keys, answers);
            } else {
                self.walk::<MANY_SLOTS>(keys, answers);
            }
        }
    }

    #[inline]
    fn walk<const N: usize>(&self, keys: &[FlowKey], answers: &mut [u32]) {
        let mut slots: Slots<N> = [[0; WIDTH]; N];
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
