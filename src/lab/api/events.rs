//! `GET events`: the snapshot as server-sent events (WHATWG HTML, section 9.2).

use std::time::Duration;

use ::http::{HeaderValue, Response, header};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::answer::set_media_type;
use crate::http::Body;
use crate::lab::Lab;

/// How often the snapshot is compared with the last one that was sent.
const PERIOD: Duration = Duration::from_secs(1);

/// After this many periods without a change, a comment shows that the connection works.
const KEEP_ALIVE_PERIODS: u32 = 15;

/// Sends the snapshot now and when it has changed, at most once per second.
pub(super) fn stream(lab: &Lab) -> Response<Body> {
    let (sender, parts) = mpsc::channel::<Bytes>(1);
    let lab = lab.clone();
    tokio::spawn(async move {
        let mut last = String::new();
        let mut quiet_periods = 0;
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !lab.is_stopped() {
            ticks.tick().await;
            let of = lab.clone();
            // It waits for locks, which other clients must not.
            let made = spawn_blocking(move || of.snapshot_without_time()).await;
            let Ok(snapshot) = made else { break };
            quiet_periods += 1;
            let part = if snapshot != last {
                format!("event: snapshot\ndata: {snapshot}\n\n")
            } else if quiet_periods >= KEEP_ALIVE_PERIODS {
                ": no change\n\n".to_owned()
            } else if sender.is_closed() {
                break;
            } else {
                continue;
            };
            quiet_periods = 0;
            last = snapshot;
            if sender.send(part.into()).await.is_err() {
                break;
            }
        }
    });
    let mut response = Response::new(Body::Stream(parts));
    set_media_type(&mut response, "text/event-stream");
    let no_cache = HeaderValue::from_static("no-cache");
    response.headers_mut().insert(header::CACHE_CONTROL, no_cache);
    response
}
