//! AWS VPC Traffic Mirroring outside AWS.
//!
//! Frames come from memory, from a capture or from a [`Source`](dataplane::Source) of your own.
//! Sessions are evaluated in the order of their SessionNumber, and the rules of their filters
//! decide. The copy is truncated to PacketLength and encapsulated in VXLAN, as in AWS. Every frame
//! is counted once: as mirrored, as not mirrored with a reason, or as dropped with a cause.
//!
//! # First steps
//!
//! Read a registry from text (or from files with [`control::config::read_files`]), compile it to a
//! table, and evaluate frames with the table:
//!
//! ```
//! use std::sync::Arc;
//! use traffic_mirror::control::config::{self, Text};
//! use traffic_mirror::control::{CompileOptions, compile};
//! use traffic_mirror::io::memory::{FrameSource, mirror};
//!
//! let text = r#"
//! network_interface = [{ network_interface_id = "eni-web", private_ip_addresses = ["10.0.0.5"] }]
//! traffic_mirror_target = [{ traffic_mirror_target_id = "tmt-1", address = "192.0.2.10" }]
//!
//! [[traffic_mirror_filter]]
//! traffic_mirror_filter_id = "tmf-web"
//! rule = [{ traffic_direction = "ingress", rule_number = 100, rule_action = "accept",
//!     protocol = 17, destination_port_range = { from_port = 8080, to_port = 8080 },
//!     source_cidr_block = "0.0.0.0/0", destination_cidr_block = "0.0.0.0/0" }]
//!
//! [[traffic_mirror_session]]
//! network_interface_id = "eni-web"
//! traffic_mirror_target_id = "tmt-1"
//! traffic_mirror_filter_id = "tmf-web"
//! session_number = 1
//! virtual_network_id = 42
//! "#;
//! let (registry, _warnings) = config::read_texts(&[Text::new("mirror.toml", text)]).into_result()?;
//! let table = Arc::new(compile(&registry, &CompileOptions::default()));
//!
//! // A UDP datagram from 10.0.0.6 to 10.0.0.5, port 8080.
//! let mut frame = vec![2; 12];
//! frame.extend([0x08, 0x00]);
//! frame.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 6, 10, 0, 0, 5]);
//! frame.extend([0x30, 0x39, 0x1f, 0x90, 0, 8, 0, 0]);
//!
//! let collected = mirror(&table, FrameSource::new([&frame]))?;
//! let copy = &collected.mirrored[0];
//! assert_eq!(copy.inner, frame);
//! assert_eq!(copy.outer[46..49], [0, 0, 42]); // the VXLAN network identifier
//! assert!(collected.not_mirrored.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Why a frame is not mirrored
//!
//! ```
//! # use std::sync::Arc;
//! use traffic_mirror::control::{CompileOptions, Registry, compile};
//! use traffic_mirror::dataplane::NotMirrored;
//! use traffic_mirror::io::memory::{FrameSource, mirror};
//!
//! // One session that accepts every packet.
//! let registry = Registry::accept_all("192.0.2.10:4789".parse()?, None, None);
//! let table = Arc::new(compile(&registry, &CompileOptions::default()));
//!
//! let mut arp = vec![2; 60];
//! arp.splice(12..14, [0x08, 0x06]);
//! // To 169.254.169.254, port 80: instance metadata, which AWS never mirrors.
//! let mut metadata = vec![2; 12];
//! metadata.extend([0x08, 0x00]);
//! metadata.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 5, 169, 254, 169, 254]);
//! metadata.extend([0x30, 0x39, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]);
//!
//! let collected = mirror(&table, FrameSource::new([arp, metadata]))?;
//! let reasons: Vec<_> = collected.not_mirrored.iter().map(|frame| frame.reason).collect();
//! assert_eq!(reasons, [NotMirrored::NotIp, NotMirrored::AwsExcluded]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! ```text
//! cli -> runtime -> {ec2, control, io} -> dataplane -> model
//! cli -> bench -> {control, io}
//! cli -> lab -> {ec2, report, control, io}
//! ec2 -> control
//! {runtime, ec2, lab} -> http
//! ```
//!
//! - [`model`]: sessions, filters, rules and targets as values that are valid once they exist.
//! - [`dataplane`]: the evaluation of one packet, the [`Worker`](dataplane::Worker) that runs it,
//!   and the traits [`Source`](dataplane::Source) and [`Sink`](dataplane::Sink). A sink of your own
//!   receives each copy as borrowed outer header and inner bytes; nothing is allocated.
//! - [`mod@bpf`]: an assembler for the programs of the kernel tier.
//! - [`control`]: the [`Registry`](control::Registry) of resources, configuration files, and
//!   [`compile`](control::compile()), which converts a registry to a table.
//! - [`io`]: sources and sinks: [captures](io::capture), [memory](io::memory),
//!   [queues](io::queue) between threads, and [written captures](io::record).
//! - [`ec2`]: the EC2 API over an [account](control::account): an [`Endpoint`](ec2::Endpoint)
//!   answers requests, with or without sockets.
//! - [`runtime`]: live mirroring as a library, [`LiveMirror`](runtime::LiveMirror): options in,
//!   events out.
//! - [`lab`](mod@lab): the [`Lab`](lab::Lab), for tests without root: sessions by the EC2 API,
//!   captures through their interfaces, and copies as bytes.
//! - [`report`]: the report of a run and the explanation of a frame, as values and JSON.
//! - [`http`]: the listener of every port: limits, time-outs, TLS, and the check of the Host
//!   header.
//! - [`bench`](mod@bench): benchmarks of rules and packets, [`bench::run`]: options in, a report
//!   out.
//! - [`cli`]: the commands of the binary.
//!
//! A module imports only modules to the right of its arrows.
//!
//! # Determinism
//!
//! `model`, `dataplane` and `control` read no clock and no random numbers. Times come with the
//! frames. A session without a VirtualNetworkId gets one that is derived from
//! [`CompileOptions::seed`](control::CompileOptions), its network interface and its SessionNumber:
//! the same configuration and seed give the same identifiers in every run and version.

#[cfg(all(feature = "live", not(target_os = "linux")))]
compile_error!("the feature `live` needs Linux: use default-features = false");

#[cfg(feature = "bench")]
pub mod bench;
#[cfg(feature = "live")]
pub mod bpf;
#[cfg(feature = "cli")]
pub mod cli;
pub mod control;
pub mod dataplane;
#[cfg(feature = "endpoint")]
pub mod ec2;
#[cfg(feature = "http")]
pub mod http;
pub mod io;
#[cfg(feature = "lab")]
pub mod lab;
pub mod model;
#[cfg(feature = "report")]
pub mod report;
#[cfg(feature = "live")]
pub mod runtime;

/// The examples of `docs/library.md`, so that the documentation tests run them.
#[cfg(doctest)]
#[doc = include_str!("../docs/library.md")]
struct LibraryPage;
