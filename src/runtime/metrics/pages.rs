//! The pages `/metrics` and `/healthz`, and `/` with a line that names them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;
use serde::Serialize;

use super::text::{ExpositionFormat, exposition};
use crate::http::{Body, HttpError, Service, healthy_text};
use crate::runtime::snapshot::Snapshot;

/// Returns a snapshot of the run. It is called for every request.
pub(crate) type SnapshotSource = Arc<dyn Fn() -> Snapshot + Send + Sync>;

/// The pages of a run.
pub(super) struct Pages {
    snapshot: SnapshotSource,
}

impl Service for Pages {
    async fn answer(&self, request: Request<Bytes>) -> Response<Body> {
        let path = request.uri().path();
        if !matches!(path, "/" | "/metrics" | "/healthz") {
            return page(StatusCode::NOT_FOUND, PLAIN, "see /metrics and /healthz\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let sentence = "expected the method GET\n";
            let mut answer = page(StatusCode::METHOD_NOT_ALLOWED, PLAIN, sentence);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match path {
            "/metrics" => self.metrics(request.headers()),
            "/healthz" => self.health(),
            _ => page(StatusCode::OK, PLAIN, "traffic-mirror: see /metrics and /healthz\n"),
        }
    }

    fn error_response(&self, _path: &str, error: &HttpError) -> Response<Body> {
        page(error.status, PLAIN, format!("{}\n", error.message))
    }
}

const PLAIN: &str = "text/plain; charset=utf-8";

fn page(status: StatusCode, kind: &'static str, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(Bytes::from(text.into()).into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

impl Pages {
    pub(super) fn new(snapshot: SnapshotSource) -> Self {
        Self { snapshot }
    }

    fn metrics(&self, headers: &HeaderMap) -> Response<Body> {
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
        let format = ExpositionFormat::negotiate(&accepted.collect::<Vec<_>>().join(","));
        match exposition(&(self.snapshot)(), format) {
            Ok(text) => page(StatusCode::OK, format.content_type(), text),
            Err(error) => page(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, error.to_string()),
        }
    }

    fn health(&self) -> Response<Body> {
        let snapshot = (self.snapshot)();
        let unaccounted = snapshot.unaccounted();
        let targets_without_address = snapshot.targets_without_address();
        if snapshot.is_attached() && unaccounted.is_empty() {
            let tiers = snapshot.tier_lines().into_iter().map(|line| line + "\n");
            let text = healthy_text(&targets_without_address);
            return page(StatusCode::OK, PLAIN, text + &tiers.collect::<String>());
        }
        let missing = snapshot.missing().into_iter();
        let missing = missing
            .map(|(device, network_interface_id)| MissingDevice { device, network_interface_id })
            .collect();
        let is_anything_attached = snapshot.active_workers().any(|worker| worker.is_attached);
        let status = match (snapshot.is_attached(), is_anything_attached) {
            (true, _) => "frames are not accounted for",
            (false, true) => "some network interfaces are not attached",
            (false, false) => "no network interface is attached",
        };
        let tiers = snapshot.tier_lines();
        let unhealthy =
            UnhealthyBody { status, missing, unaccounted, targets_without_address, tiers };
        let body = serde_json::to_string(&unhealthy).unwrap_or_default() + "\n";
        page(StatusCode::SERVICE_UNAVAILABLE, "application/json", body)
    }
}

#[derive(Serialize)]
struct UnhealthyBody<'s> {
    status: &'static str,
    missing: Vec<MissingDevice<'s>>,
    /// Frames that are not accounted for, by device.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unaccounted: BTreeMap<&'s str, u64>,
    /// Targets of sessions without an address. They alone do not make the run unhealthy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    targets_without_address: Vec<&'s str>,
    /// The tiers of the interfaces, if they were chosen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tiers: Vec<String>,
}

#[derive(Serialize)]
struct MissingDevice<'s> {
    device: &'s str,
    network_interface_id: &'s str,
}
