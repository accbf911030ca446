//! The version and the tables of a state file.

use redb::TableDefinition;

/// The version of the files that this program reads and writes.
pub(super) const VERSION: u64 = 1;

/// The stored texts by their keys.
pub(super) const RECORDS: TableDefinition<'_, &str, &str> = TableDefinition::new("records");

/// Numbers that describe the file: `version`.
pub(super) const METADATA: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");
