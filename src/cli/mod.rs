//! The command line: one file per command, flags (what was typed) apart from plan (what will be
//! done).

pub mod signals;
