//! The tables of one direction: the words of both address families, the records of the accepted
//! outcomes, and the slots of balancers.

use super::counter_layout::CounterLayout;
use super::limits;
use super::outcome::OutcomeList;
use super::record::{RECORD_LEN, Record, RecordTable};
use super::tables::WordTables;
use crate::dataplane::index::SessionIndex;
use crate::dataplane::table::MirrorTable;
use crate::dataplane::verdict::SessionMatch;
use crate::model::Rate;

/// The tables of one direction.
#[derive(Debug)]
pub(super) struct DirectionTables {
    bytes: Vec<u8>,
    /// For IPv4, then for IPv6.
    words: [WordTables; 2],
    records: RecordTable,
}

impl DirectionTables {
    /// Joins the words of both families and the records.
    pub(super) fn new(
        table: &MirrorTable,
        mut words: [WordTables; 2],
        records: &[SessionRecord],
        (layout, buckets): (CounterLayout, &Buckets),
    ) -> Self {
        let mut bytes = Vec::new();
        for family in &mut words {
            family.move_to(place(&bytes));
            bytes.extend(family.bytes());
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        let start = bytes.len();
        let record_len = usize::try_from(RECORD_LEN).unwrap_or_default();
        // The program names the place of the records even if there are none.
        bytes.resize(start + records.len().max(1) * record_len, 0);
        let mut slots: Vec<(SessionIndex, u32)> = Vec::new();
        let mut complete = Vec::new();
        for (session, record) in records {
            let known = slots.iter().find(|(known, _)| known == session).map(|(_, at)| *at);
            let offset = known.or_else(|| {
                let balancer = table.encap_of(*session)?.slots()?;
                let offset = place(&bytes);
                bytes.extend(balancer);
                slots.push((*session, offset));
                Some(offset)
            });
            complete.extend(Record { slots: offset.unwrap_or_default(), ..*record }.to_bytes());
        }
        bytes.iter_mut().skip(start).zip(complete).for_each(|(place, byte)| *place = byte);
        let records = RecordTable {
            records: records.len(),
            start: u32::try_from(start).unwrap_or(u32::MAX),
            tables: bytes.len(),
            layout,
            buckets: buckets.len(),
        };
        Self { bytes, words, records }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The words for IPv4, then for IPv6.
    pub(super) const fn words(&self) -> &[WordTables; 2] {
        &self.words
    }

    pub(super) const fn records(&self) -> &RecordTable {
        &self.records
    }
}

/// The offset at which the next bytes begin.
fn place(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// The record of an accepted outcome, with its session.
pub(super) type SessionRecord = (SessionIndex, Record);

/// The token buckets, and which session or target has which.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    bytes: Vec<u8>,
    known: Vec<(BucketOwner, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BucketOwner {
    Session(usize),
    Target(usize),
}

impl Buckets {
    /// 1 + the index of the bucket of an owner; 0 without a limit.
    fn of(&mut self, owner: BucketOwner, rate: Option<Rate>) -> u32 {
        let Some(rate) = rate else { return 0 };
        if let Some((_, number)) = self.known.iter().find(|(known, _)| *known == owner) {
            return *number;
        }
        self.bytes.extend(limits::bucket_bytes(rate));
        let number = u32::try_from(self.known.len() + 1).unwrap_or_default();
        self.known.push((owner, number));
        number
    }

    /// The number of buckets.
    const fn len(&self) -> usize {
        self.known.len()
    }

    /// Their initial bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The records of all accepted outcomes, without slots. `starts` has the first path of each session.
pub(super) fn records(
    table: &MirrorTable,
    outcomes: &OutcomeList,
    (layout, starts): (&CounterLayout, &[usize]),
    buckets: &mut Buckets,
) -> Vec<SessionRecord> {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let record = |(index, accepted): (usize, &SessionMatch)| {
        let session = table.session(accepted.session);
        let target = session.map(|session| session.target);
        let target_rate =
            target.and_then(|target| table.target(target)).and_then(|target| target.rate_limit);
        let session_rate = session.and_then(|session| session.rate_limit);
        let target_owner = BucketOwner::Target(target.map_or(0, |target| target.get()));
        let owner = BucketOwner::Session(accepted.session.get());
        let record = Record {
            path: number(starts.get(accepted.session.get()).copied().unwrap_or_default()),
            slots: 0,
            session_counters: CounterLayout::session(accepted.session.get()),
            outcome_counter: layout.outcome(index),
            session_bucket: buckets.of(owner, session_rate),
            target_bucket: buckets.of(target_owner, target_rate),
        };
        (accepted.session, record)
    };
    outcomes.accepted().iter().enumerate().map(record).collect()
}
