//! Compares the parser of the data plane with that of the oracle for any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testkit::oracle;

fuzz_target!(|bytes: &[u8]| oracle::compare::compare_parsing(bytes));
