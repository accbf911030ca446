//! AWS VPC Traffic Mirroring outside AWS.

pub mod cli;
pub mod control;
pub mod dataplane;
pub mod io;
pub mod model;
