//! The EC2 endpoint in front of another emulator of AWS: one that the tests write, and moto's
//! server where it is installed.

mod describe;
mod emulator;
mod forward;
mod learn;
mod moto;
mod stack;
mod tags;
