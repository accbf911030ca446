//! A request that is answered by this endpoint, by the other emulator, or by both.

use ::http::request::Parts;
use ::http::{Request as HttpRequest, Response};
use bytes::Bytes;

use super::super::actions;
use super::super::authenticate::{Principal, RejectedRequest, Request};
use super::super::endpoint::{Endpoint, UpstreamSync};
use super::super::http_response::response;
use super::super::upstream::{Scope, Upstream, UpstreamError};
use crate::control::account::ApiError;

/// The response to a request, or the error to answer it with.
pub(super) type Relayed = Result<Response<Bytes>, RejectedRequest>;

/// One request, and what answers it.
pub(super) struct Relay<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) sync: &'a UpstreamSync,
    pub(super) head: Parts,
    pub(super) body: Bytes,
    pub(super) principal: Principal,
    pub(super) scope: Scope,
}

impl<'a> Relay<'a> {
    pub(super) fn new(
        (endpoint, sync): (&'a Endpoint, &'a UpstreamSync),
        (head, body): (Parts, Bytes),
        principal: Principal,
    ) -> Self {
        let scope = Scope {
            access_key_id: principal.access_key_id.clone(),
            region: principal.region.clone(),
        };
        Self { endpoint, sync, head, body, principal, scope }
    }

    pub(super) fn upstream(&self) -> &Upstream {
        self.sync.upstream()
    }

    /// Forwards the request unchanged.
    pub(super) async fn forward(&self) -> Result<Response<Bytes>, UpstreamError> {
        let request = HttpRequest::from_parts(self.head.clone(), self.body.clone());
        self.upstream().forward(request).await
    }

    /// The error of an action that needs the emulator.
    pub(super) fn unavailable(&self, error: &UpstreamError, action: &str) -> RejectedRequest {
        let format = self.principal.error_format(&self.head.headers);
        RejectedRequest::new(error.of_action(action), format)
    }

    /// Forwards an action of EC2. After a change, what was learned is read again: a terminated
    /// instance takes its interfaces and their sessions with it.
    pub(super) async fn forward_action(&self, request: Request) -> Relayed {
        let answer = self.forward().await;
        let answer = answer.map_err(|error| self.unavailable(&error, &request.action))?;
        if answer.status().is_success() && actions::is_change(&request.action) {
            self.sync.refresh().await;
        }
        Ok(answer)
    }

    /// The answer of this endpoint alone.
    pub(super) async fn own(&self, request: Request) -> Response<Bytes> {
        response(self.endpoint.answer(Ok(request)).await)
    }
}

/// Rejects a request to EC2.
pub(super) fn rejected(error: ApiError) -> RejectedRequest {
    RejectedRequest::of_ec2(error)
}
