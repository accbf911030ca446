//! Answers the requests to an endpoint in front of another emulator: it forwards a request, answers
//! it here, or does both and joins the answers.
//!
//! ```text
//! authenticate -> service of the credential scope
//!   ec2: traffic mirroring           answered here, after what it names was learned
//!        CreateTags, DeleteTags      divided by the ids of the resources
//!        DescribeTags,
//!        DescribeNetworkInterfaces   joined
//!        all others                  forwarded
//!   sts                              forwarded
//!   all others                       forwarded without being read
//! ```
//!
//! A forwarded request has the same body, because a client signed it. The parts of a divided request
//! are new requests, without a valid signature, which emulators do not verify.

mod describe;
mod exchange;
mod interfaces;
mod lists;
mod page_token;
mod tags;

use ::http::request::Parts;
use ::http::{Method, Response};
use bytes::Bytes;

use self::exchange::{Relay, Relayed};
use super::actions;
use super::authenticate::{RejectedRequest, Request};
use super::endpoint::{Endpoint, UpstreamSync};
use super::http_response::response;
use super::upstream::is_load_balancer_service;
use crate::control::account::interface_not_found;
use crate::model::NetworkInterfaceId;

/// Answers a request.
pub(super) async fn answer(
    endpoint: &Endpoint,
    sync: &UpstreamSync,
    head: Parts,
    body: Bytes,
) -> Response<Bytes> {
    let relayed = match endpoint.authenticate(&head, &body) {
        Ok(principal) => {
            let relay = Relay::new((endpoint, sync), (head, body), principal);
            relay.answer().await
        }
        Err(rejected) => Err(rejected),
    };
    relayed.unwrap_or_else(|rejected| response(endpoint.answer_rejected(&rejected)))
}

/// How a request to EC2 is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Own,
    ChangeTags,
    DescribeTags,
    DescribeNetworkInterfaces,
    Forward,
}

impl Route {
    fn of_action(action: &str) -> Self {
        match action {
            "CreateTags" | "DeleteTags" => Self::ChangeTags,
            "DescribeTags" => Self::DescribeTags,
            "DescribeNetworkInterfaces" => Self::DescribeNetworkInterfaces,
            action if action.contains("TrafficMirror") => Self::Own,
            _ => Self::Forward,
        }
    }
}

impl Relay<'_> {
    async fn answer(self) -> Relayed {
        // A presigned URL of an older signature names no region.
        if !self.scope.region.is_empty() {
            self.upstream().note_scope(&self.scope);
        }
        self.upstream().was_asked().await;
        match &*self.principal.service {
            "ec2" => self.answer_ec2().await,
            "sts" => self.answer_sts().await,
            _ => self.answer_other_service().await,
        }
    }

    async fn answer_other_service(self) -> Relayed {
        let service = &self.principal.service;
        let name = if service.is_empty() { "The request" } else { service };
        let answer = self.forward().await.map_err(|error| self.unavailable(&error, name))?;
        if answer.status().is_success() && self.changes_load_balancers() {
            self.sync.refresh_load_balancers(None).await;
        }
        Ok(answer)
    }

    /// Whether the request may change the addresses of load balancers.
    fn changes_load_balancers(&self) -> bool {
        let is_description = || {
            let mut pairs = form_urlencoded::parse(&self.body);
            pairs.any(|(name, value)| name == "Action" && !actions::is_change(&value))
        };
        is_load_balancer_service(&self.principal.service)
            && self.head.method == Method::POST
            && !is_description()
    }

    /// The account id in the answers is the same everywhere, so the emulator says who the caller is.
    async fn answer_sts(self) -> Relayed {
        let request = self.request()?;
        let is_known = request.is_sts && request.action == "GetCallerIdentity";
        match self.forward().await {
            Err(error) if error.is_without_answer() && is_known => Ok(self.own(request).await),
            answer => answer.map_err(|error| self.unavailable(&error, &request.action)),
        }
    }

    async fn answer_ec2(self) -> Relayed {
        let request = self.request()?;
        match Route::of_action(&request.action) {
            Route::Own => self.answer_own(request).await,
            Route::ChangeTags => tags::change(self, request).await,
            Route::DescribeTags => describe::describe_tags(self, request).await,
            Route::DescribeNetworkInterfaces => interfaces::describe(self, request).await,
            Route::Forward => self.forward_action(request).await,
        }
    }

    fn request(&self) -> Result<Request, RejectedRequest> {
        let format = self.principal.error_format(&self.head.headers);
        Request::parse(&self.head, &self.body, &self.principal)
            .map_err(|error| RejectedRequest::new(error, format))
    }

    /// Answers an action for traffic mirroring, after the interface that it names was learned. The
    /// addresses of the load balancer of a new target are learned before its creation is answered.
    async fn answer_own(&self, request: Request) -> Relayed {
        request.check_version().map_err(RejectedRequest::of_ec2)?;
        let names_interface =
            matches!(&*request.action, "CreateTrafficMirrorSession" | "CreateTrafficMirrorTarget");
        let id = request.form.text("NetworkInterfaceId").filter(|_| names_interface);
        let id = id.and_then(|id| NetworkInterfaceId::new(id).ok());
        if let Some(id) = id {
            let learned = self.sync.learn_interface(&self.scope, &id).await;
            if !learned.map_err(|error| self.unavailable(&error, &request.action))? {
                return Err(RejectedRequest::of_ec2(interface_not_found(id.as_str())));
            }
        }
        let arn = request.form.owned("NetworkLoadBalancerArn");
        let answer = self.own(request).await;
        if let Some(arn) = arn.filter(|_| answer.status().is_success()) {
            self.sync.refresh_load_balancers(Some(&arn)).await;
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_for_traffic_mirroring_are_never_forwarded() {
        for (action, route) in [
            ("CreateTrafficMirrorSession", Route::Own),
            ("ModifyTrafficMirrorFilterNetworkServices", Route::Own),
            ("DescribeTrafficMirrorFilterRules", Route::Own),
            ("CreateTags", Route::ChangeTags),
            ("DescribeTags", Route::DescribeTags),
            ("DescribeNetworkInterfaces", Route::DescribeNetworkInterfaces),
            ("CreateNetworkInterface", Route::Forward),
            ("DescribeInstances", Route::Forward),
            ("TerminateInstances", Route::Forward),
        ] {
            assert_eq!(Route::of_action(action), route, "{action}");
        }
    }
}
