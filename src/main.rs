//! The binary `traffic-mirror`. The command line is in the library's module `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    traffic_mirror::cli::main()
}
