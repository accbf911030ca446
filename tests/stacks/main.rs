//! Infrastructure code and automations of users against `lab`, alone and in front of moto.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may stop where its input is not as it should"
)]

mod automations;
mod cdk;
mod command_line;
mod lab_process;
mod terraform;
