//! The formats in which a client fetches copies.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::Lab;
use super::copy_origins::columns;
use super::copy_store::{CopyStore, StoredCopy};
use super::error::LabError;
use crate::dataplane::Sink;
use crate::io::record::{PcapWriter, PcapngSink, Precision};
use crate::model::TargetId;

/// A format of copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFormat {
    /// A pcap of outer frames; nanoseconds if a time needs them.
    Pcap,
    /// A pcapng of outer frames, each with its session and rule as a comment.
    Pcapng,
    /// Outer frames, each after its length in bytes (4 bytes, big-endian).
    LengthPrefixed,
    /// One JSON object on a line for each copy; bytes are in base64 (RFC 4648, section 4).
    Ndjson,
    /// A JSON object with the session, rule and time of each copy in columns, without bytes.
    Columns,
}

#[derive(Serialize)]
struct CopyObject<'a> {
    vni: u32,
    session: &'a str,
    rule: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic_mirror_filter_rule_id: Option<&'a str>,
    timestamp_ns: u64,
    outer: String,
    inner: String,
}

impl CopyFormat {
    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Pcap => "application/vnd.tcpdump.pcap",
            Self::Pcapng => "application/x-pcapng",
            Self::LengthPrefixed => "application/octet-stream",
            Self::Ndjson => "application/x-ndjson",
            Self::Columns => "application/vnd.traffic-mirror.columns+json",
        }
    }

    /// The first format of an Accept header that is supported; pcap if all are accepted or there is
    /// no header.
    ///
    /// # Errors
    /// [`LabError`]: none of the formats is supported.
    pub fn negotiate(accept: Option<&str>) -> Result<Self, LabError> {
        let Some(accept) = accept else { return Ok(Self::Pcap) };
        let named = |one: &str| match one.split(';').next().unwrap_or_default().trim() {
            "application/vnd.tcpdump.pcap" | "application/*" | "*/*" | "" => Some(Self::Pcap),
            "application/x-pcapng" => Some(Self::Pcapng),
            "application/octet-stream" => Some(Self::LengthPrefixed),
            "application/x-ndjson" | "application/json" => Some(Self::Ndjson),
            "application/vnd.traffic-mirror.columns+json" => Some(Self::Columns),
            _ => None,
        };
        accept.to_ascii_lowercase().split(',').find_map(named).ok_or_else(|| {
            let message = format!(
                "Accept `{accept}`: expected application/vnd.tcpdump.pcap, application/x-pcapng, \
                 application/octet-stream, application/x-ndjson or \
                 application/vnd.traffic-mirror.columns+json"
            );
            LabError::invalid("NotAcceptable", message)
        })
    }
}

impl Lab {
    /// The copies of a target from number `first` on. The first copy since the start or the last
    /// reset has the number 0, also after it was removed.
    ///
    /// # Errors
    /// [`LabError`]: the target does not exist.
    pub fn copies_as(
        &self,
        target: &TargetId,
        format: CopyFormat,
        first: u64,
    ) -> Result<Vec<u8>, LabError> {
        self.check_target(target)?;
        let store = self.copies();
        let needs_nanoseconds =
            store.copies(target, first).any(|copy| !copy.timestamp_ns.is_multiple_of(1000));
        let precision = if needs_nanoseconds { Precision::Nano } else { Precision::Micro };
        // Writing to memory does not fail.
        let mut encoder = CopyEncoder::new(format, precision).map_err(LabError::failed)?;
        encoder.encode(&store, target, first).map_err(LabError::failed)
    }
}

/// Encodes the copies of a target, in parts if they are streamed.
pub(super) enum CopyEncoder {
    Pcap(PcapWriter<Vec<u8>>),
    Pcapng(PcapngSink<Vec<u8>>),
    LengthPrefixed,
    Ndjson,
    Columns,
}

impl CopyEncoder {
    /// An encoder. The first part starts with the header of the file, if the format has one.
    pub(super) fn new(format: CopyFormat, precision: Precision) -> io::Result<Self> {
        Ok(match format {
            CopyFormat::Pcap => Self::Pcap(PcapWriter::new(Vec::new(), precision)?),
            CopyFormat::Pcapng => Self::Pcapng(PcapngSink::new(Vec::new(), Precision::Micro)?),
            CopyFormat::LengthPrefixed => Self::LengthPrefixed,
            CopyFormat::Ndjson => Self::Ndjson,
            CopyFormat::Columns => Self::Columns,
        })
    }

    /// The copies from number `first` on.
    pub(super) fn encode(
        &mut self,
        store: &CopyStore,
        target: &TargetId,
        first: u64,
    ) -> io::Result<Vec<u8>> {
        match self {
            Self::LengthPrefixed => Ok(store.prefixed_bytes(target, first).to_vec()),
            Self::Ndjson => Ok(ndjson(store.copies(target, first))),
            Self::Columns => Ok(columns(store, target, first)),
            Self::Pcap(writer) => {
                for copy in store.copies(target, first) {
                    writer.write_record(copy.timestamp_ns, copy.bytes)?;
                }
                writer.flush()?;
                Ok(std::mem::take(writer.inner_mut()))
            }
            Self::Pcapng(sink) => {
                for copy in store.copies(target, first) {
                    sink.write_record(copy.timestamp_ns, copy.bytes, &comment(&copy))?;
                }
                sink.flush()?;
                Ok(std::mem::take(sink.inner_mut()))
            }
        }
    }
}

fn comment(copy: &StoredCopy<'_>) -> String {
    let session = &copy.origin.session_id;
    match copy.origin.rule_number {
        Some(number) => format!("session {session}: rule {number}"),
        None => format!("session {session}: network service amazon-dns"),
    }
}

fn ndjson<'a>(copies: impl Iterator<Item = StoredCopy<'a>>) -> Vec<u8> {
    let mut text = Vec::new();
    for copy in copies {
        let object = CopyObject {
            vni: copy.origin.virtual_network_id,
            session: copy.origin.session_id.as_str(),
            rule: copy.origin.rule_number,
            traffic_mirror_filter_rule_id: copy.origin.rule_id.as_deref(),
            timestamp_ns: copy.timestamp_ns,
            outer: STANDARD.encode(copy.bytes),
            inner: STANDARD.encode(copy.inner),
        };
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(&mut text, &object);
        text.push(b'\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_supported_format_is_used() {
        let format = |accept| CopyFormat::negotiate(accept).unwrap();
        assert_eq!(format(None), CopyFormat::Pcap);
        assert_eq!(format(Some("*/*")), CopyFormat::Pcap);
        assert_eq!(format(Some("text/html, application/x-pcapng;q=0.9")), CopyFormat::Pcapng);
        assert_eq!(format(Some("Application/Octet-Stream")), CopyFormat::LengthPrefixed);
        assert_eq!(format(Some("application/x-ndjson")), CopyFormat::Ndjson);
        let error = CopyFormat::negotiate(Some("image/png")).unwrap_err();
        assert!(error.message.starts_with("Accept `image/png`: expected"), "{error}");
    }
}
