//! `GET targets/{tmt}/copies?follow=true`: streams copies as they are stored.

use ::http::Response;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::answer::set_media_type;
use crate::http::Body;
use crate::io::record::Precision;
use crate::lab::Lab;
use crate::lab::copy_formats::CopyEncoder;
use crate::lab::{CopyFormat, LabError};
use crate::model::TargetId;

/// Streams the copies of a target from number `first` on, until the client disconnects.
pub(super) fn stream(
    lab: &Lab,
    target: &TargetId,
    format: CopyFormat,
    first: u64,
) -> Result<Response<Body>, LabError> {
    lab.check_target(target)?;
    let encoder = CopyEncoder::new(format, Precision::Nano).map_err(LabError::failed)?;
    let (sender, parts) = mpsc::channel(4);
    tokio::spawn(send_parts(lab.clone(), (target.clone(), first), encoder, sender));
    let mut response = Response::new(Body::Stream(parts));
    set_media_type(&mut response, format.media_type());
    Ok(response)
}

async fn send_parts(
    lab: Lab,
    (target, mut next): (TargetId, u64),
    mut encoder: CopyEncoder,
    sender: mpsc::Sender<Bytes>,
) {
    let mut changed = lab.subscribe_to_copies();
    let mut generation = lab.copies().generation();
    while !lab.is_stopped() {
        changed.mark_unchanged();
        let encoded = {
            let store = lab.copies();
            if generation != store.generation() {
                (next, generation) = (0, store.generation());
            }
            let first = std::mem::replace(&mut next, store.next_number(&target));
            encoder.encode(&store, &target, first)
        };
        // Writing to memory does not fail.
        let Ok(part) = encoded else { return };
        if !part.is_empty() && sender.send(part.into()).await.is_err() {
            return;
        }
        tokio::select! {
            changed = changed.changed() => if changed.is_err() { return },
            () = sender.closed() => return,
        }
    }
}
