//! Parses any bytes as a frame with the parser of the data plane and with that of the oracle. Both
//! must return the same flow key or the same error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testkit::oracle;

fuzz_target!(|bytes: &[u8]| oracle::compare::compare_parsing(bytes));
