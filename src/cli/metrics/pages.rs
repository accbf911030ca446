//! The pages: `/metrics`, `/healthz`, and a line at `/` that says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

use super::snapshot::Snapshot;
use super::text::{Form, exposition};

/// Takes a picture of the run whenever a page is asked for.
pub(crate) type TakeSnapshot = Arc<dyn Fn() -> Snapshot + Send + Sync>;

pub(super) fn router(snapshot: TakeSnapshot) -> Router {
    Router::new()
        .route("/", get(async || "traffic-mirror: see /metrics and /healthz\n"))
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .with_state(snapshot)
}

async fn metrics(State(snapshot): State<TakeSnapshot>, headers: HeaderMap) -> Response {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let form = Form::wanted(&accepted.collect::<Vec<_>>().join(","));
    match exposition(&snapshot(), form) {
        Ok(text) => ([(CONTENT_TYPE, form.content_type())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[derive(Serialize)]
struct Unhealthy<'s> {
    status: &'static str,
    missing: Vec<Missing<'s>>,
    /// Frames that are not accounted for, by device.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unaccounted: BTreeMap<&'s str, u64>,
}

#[derive(Serialize)]
struct Missing<'s> {
    device: &'s str,
    network_interface_id: &'s str,
}

async fn health(State(snapshot): State<TakeSnapshot>) -> Response {
    let snapshot = snapshot();
    let unaccounted = snapshot.unaccounted();
    if snapshot.is_attached() && unaccounted.is_empty() {
        return "ok\n".into_response();
    }
    let missing = snapshot.missing().into_iter();
    let missing = missing
        .map(|(device, network_interface_id)| Missing { device, network_interface_id })
        .collect();
    let is_anything_attached = snapshot.wanted().any(|worker| worker.is_attached);
    let status = match (snapshot.is_attached(), is_anything_attached) {
        (true, _) => "frames are not accounted for",
        (false, true) => "some network interfaces are not attached",
        (false, false) => "no network interface is attached",
    };
    let unhealthy = Unhealthy { status, missing, unaccounted };
    let body = serde_json::to_string(&unhealthy).unwrap_or_default() + "\n";
    let of_json = [(CONTENT_TYPE, "application/json")];
    (StatusCode::SERVICE_UNAVAILABLE, of_json, body).into_response()
}
