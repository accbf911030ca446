//! `GET targets/{tmt}/copies?follow=true`: streams copies as they are stored.

use std::io;

use ::http::Response;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

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
    (target, next): (TargetId, u64),
    encoder: CopyEncoder,
    sender: mpsc::Sender<Bytes>,
) {
    let mut changed = lab.subscribe_to_copies();
    let generation = lab.copies().generation();
    let mut stream = CopyStream { lab, target, encoder, next, generation };
    while !stream.lab.is_stopped() {
        changed.mark_unchanged();
        // Many copies take long, and other clients must not wait for them.
        let encoded = spawn_blocking(move || {
            let part = stream.next_part();
            (stream, part)
        });
        let Ok((continued, Ok(part))) = encoded.await else { return };
        stream = continued;
        if !part.is_empty() && sender.send(part.into()).await.is_err() {
            return;
        }
        tokio::select! {
            changed = changed.changed() => if changed.is_err() { return },
            () = sender.closed() => return,
        }
    }
}

/// The copies that were not sent yet.
struct CopyStream {
    lab: Lab,
    target: TargetId,
    encoder: CopyEncoder,
    /// The number of the next copy, in this generation of the store.
    next: u64,
    generation: u64,
}

impl CopyStream {
    fn next_part(&mut self) -> io::Result<Vec<u8>> {
        let store = self.lab.copies();
        if self.generation != store.generation() {
            (self.next, self.generation) = (0, store.generation());
        }
        let first = std::mem::replace(&mut self.next, store.next_number(&self.target));
        self.encoder.encode(&store, &self.target, first)
    }
}
