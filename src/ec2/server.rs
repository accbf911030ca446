//! The HTTP service of the endpoint: limits for clients, and conversion of requests and responses.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ::http::{Request, Response};
use bytes::Bytes;

use super::authenticate::RejectedRequest;
use super::endpoint::Endpoint;
use super::http_response::response;
use super::relay;
use crate::control::account::ApiError;
use crate::http::{self, Body, Certificate, Event, HostNames, HttpError, Limits, Options, Server};

/// Limits for clients. CreateTags for 1,000 resources with 50 tags of the maximum length fits in
/// `body_len`. Terraform and the AWS SDKs use a few dozen connections each at most.
const LIMITS: Limits = Limits {
    connections: 512,
    waiting_per_peer: 128,
    first_head: Duration::from_secs(5),
    idle: Duration::from_secs(30),
    request: Duration::from_secs(30),
    connection: None,
    is_kept_alive: true,
    head_len: 64 << 10,
    headers: 100,
    body_len: 1 << 20,
};

/// The limit for the body of a request when the endpoint forwards requests: clients of S3 upload
/// parts of 8 MiB by default.
const FORWARDED_BODY_LEN: usize = 16 << 20;

/// Serves the endpoint on its own thread, with TLS if there is a certificate. `report` is called
/// with the events of the listener.
///
/// # Errors
/// The address cannot be bound, or the thread cannot be started.
pub fn serve(
    address: SocketAddr,
    endpoint: Endpoint,
    hosts: HostNames,
    certificate: Option<Certificate>,
    report: impl Fn(Event) + Send + Sync + 'static,
) -> io::Result<Server> {
    let report = Box::new(report);
    let body_len = match endpoint.upstream() {
        Some(_) => FORWARDED_BODY_LEN,
        None => LIMITS.body_len,
    };
    let limits = Limits { body_len, ..LIMITS };
    let options = Options { name: "ec2", limits, hosts, certificate, report };
    http::serve(address, endpoint, options)
}

impl http::Service for Endpoint {
    async fn answer(&self, request: Request<Bytes>) -> Response<Body> {
        let (head, body) = request.into_parts();
        match self.upstream_sync() {
            Some(sync) => relay::answer(self, sync, head, body).await.map(Body::from),
            None => response(self.answer(self.read(&head, &body)).await).map(Body::from),
        }
    }

    fn error_response(&self, _path: &str, error: &HttpError) -> Response<Body> {
        let api_error = ApiError::new(error.code, error.message.clone());
        let (_, document) = self.answer_rejected(&RejectedRequest::of_ec2(api_error));
        response((error.status.as_u16(), document)).map(Body::from)
    }
}
