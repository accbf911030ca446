//! `POST network-interfaces/{eni}/frames`: a capture or single frames as the body.

use ::http::request::Parts;
use ::http::{HeaderMap, header};
use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Answer, document};
use super::query::Query;
use crate::io::StopFlag;
use crate::io::pace::Speed;
use crate::lab::error::LabError;
use crate::lab::{Lab, PlayInput, PlayOptions, Played, PrefixedFrames};
use crate::model::{Direction, NetworkInterfaceId};

/// The media type of frames that have their lengths before them.
const LENGTH_PREFIXED: &str = "application/octet-stream";

/// Plays the body of a request; without a body, the capture of the interface.
pub(super) fn play(
    lab: &Lab,
    id: &NetworkInterfaceId,
    (head, body): (&Parts, Bytes),
    stop: &StopFlag,
) -> Answer {
    let query = Query::parse(head.uri.query(), &["speed", "direction", "explain"])?;
    let options = PlayOptions {
        speed: query.parsed("speed", str::parse::<Speed>)?.unwrap_or(Speed::Max),
        direction: query.parsed("direction", Direction::parse)?,
        explain: query.boolean("explain")?,
    };
    let input = match () {
        () if body.is_empty() => PlayInput::Pinned,
        () if media_type(&head.headers) == LENGTH_PREFIXED && !is_capture(&body) => {
            PlayInput::PrefixedFrames(PrefixedFrames::new(body)?)
        }
        () => PlayInput::Capture(body),
    };
    Ok(document(report(&lab.play_until(id, input, options, stop)?)?))
}

/// The report of a play. Explanations, errors and warnings are there if they exist.
fn report(played: &Played) -> Result<String, LabError> {
    let mut report = serde_json::to_value(&played.report).map_err(LabError::failed)?;
    let mut insert = |name: &str, value: Value| {
        if let Some(members) = report.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    };
    if let Some(error) = &played.error {
        insert("error", json!(error));
    }
    if !played.warnings.is_empty() {
        insert("warnings", json!(played.warnings));
    }
    let mut text = report.to_string();
    if let Some(explanations) = &played.explanations {
        // The array is text already.
        text.pop();
        text = format!("{text},\"explain\":{explanations}}}");
    }
    Ok(text)
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let value = value.unwrap_or_default().split(';').next().unwrap_or_default();
    value.trim().to_ascii_lowercase()
}

/// Whether bytes start like pcap, pcapng, gzip or zstd. Clients send captures as
/// `application/octet-stream` too; as a length, these numbers exceed every frame.
fn is_capture(bytes: &[u8]) -> bool {
    const MAGIC: [[u8; 4]; 6] = [
        [0xd4, 0xc3, 0xb2, 0xa1],
        [0xa1, 0xb2, 0xc3, 0xd4],
        [0x4d, 0x3c, 0xb2, 0xa1],
        [0xa1, 0xb2, 0x3c, 0x4d],
        [0x0a, 0x0d, 0x0d, 0x0a],
        [0x28, 0xb5, 0x2f, 0xfd],
    ];
    bytes.starts_with(&[0x1f, 0x8b]) || MAGIC.iter().any(|magic| bytes.starts_with(magic))
}
