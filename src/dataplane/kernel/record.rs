//! The records of accepted outcomes in the tables of a direction: where a copy goes and where it is
//! counted.

use super::counter_layout::CounterLayout;

/// Offsets in a record.
pub(super) const PATH: i16 = 0;
/// 0, or the offset of the slots of a balancer in the tables.
pub(super) const SLOTS: i16 = 4;
pub(super) const SESSION_COUNTERS: i16 = 8;
pub(super) const OUTCOME_COUNTER: i16 = 12;
/// 0, or 1 + the index of the bucket of the session.
pub(super) const SESSION_BUCKET: i16 = 16;
/// 0, or 1 + the index of the bucket of the target.
pub(super) const TARGET_BUCKET: i16 = 20;

/// The length of a record in bytes.
pub(super) const RECORD_LEN: i32 = 24;

/// Selects the slot of a flow: there are 8,192.
pub(super) const SLOT_MASK: i32 = 8_191;

/// One record.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Record {
    pub(super) path: u32,
    pub(super) slots: u32,
    pub(super) session_counters: u32,
    pub(super) outcome_counter: u32,
    pub(super) session_bucket: u32,
    pub(super) target_bucket: u32,
}

impl Record {
    pub(super) fn to_bytes(self) -> impl Iterator<Item = u8> {
        let fields = [
            self.path,
            self.slots,
            self.session_counters,
            self.outcome_counter,
            self.session_bucket,
            self.target_bucket,
        ];
        fields.into_iter().flat_map(u32::to_ne_bytes)
    }
}

/// The place of the records in the tables, and the limits that the emitted code checks.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordTable {
    /// The number of records, which is the number of accepted outcomes.
    pub(super) records: usize,
    /// The offset of the first record in the tables.
    pub(super) start: u32,
    /// The length of all tables in bytes.
    pub(super) tables: usize,
    pub(super) layout: CounterLayout,
    /// The number of token buckets.
    pub(super) buckets: usize,
}

impl RecordTable {
    pub(super) fn count(&self) -> i32 {
        signed(self.records)
    }

    pub(super) const fn offset(&self) -> u32 {
        self.start
    }

    pub(super) fn tables_len(&self) -> i32 {
        signed(self.tables)
    }

    /// The highest offset of the counters of a session: its five counters end within the value.
    pub(super) fn last_session_offset(&self) -> i32 {
        signed(self.layout.len().saturating_sub(5) * 8)
    }

    /// The offset of the counters of the first path.
    pub(super) fn first_path_offset(&self) -> i32 {
        i32::try_from(self.layout.first_path()).unwrap_or(i32::MAX)
    }

    /// The highest offset of the counters of a path.
    pub(super) fn last_path_offset(&self) -> i32 {
        signed(self.layout.len().saturating_sub(2) * 8)
    }

    /// The highest offset of a counter.
    pub(super) fn last_outcome_offset(&self) -> i32 {
        signed(self.layout.len().saturating_sub(1) * 8)
    }
}

fn signed(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
