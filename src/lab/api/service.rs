//! The service of a laboratory's port: its API, and the EC2 endpoint for all other paths.

use std::net::{IpAddr, SocketAddr};

use ::http::request::Parts;
use ::http::{HeaderMap, Request, Response, Uri, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::answer::{self, Answer, document, done};
use super::json::{self, ClockBody, ExplainBody, InterfaceBody, SeedBody, TargetBody};
use super::query::Query;
use super::route::{PREFIX, Route};
use super::{events, follow, frames};
use crate::http::{Body, HttpError, Service};
use crate::io::StopFlag;
use crate::lab::error::LabError;
use crate::lab::explain::frame_of_flow;
use crate::lab::{CopyFormat, ExplainRequest, Lab};
use crate::model::{
    Direction, InterfacePin, InvalidValue, MacAddress, TargetId, VXLAN_PORT, parse_target_address,
};

/// Answers the requests of a laboratory's port.
pub(super) struct LabService {
    lab: Lab,
}

impl LabService {
    pub(super) const fn new(lab: Lab) -> Self {
        Self { lab }
    }
}

impl LabService {
    /// The same route, with the id of an interface that only the emulator behind this laboratory
    /// has. It is learned, so that it can be played and pinned.
    async fn with_learned_interface(&self, route: Route) -> Result<Route, LabError> {
        let (Route::Play(name) | Route::PinInterface(name)) = &route else { return Ok(route) };
        if self.lab.has_interface(name) {
            return Ok(route);
        }
        let learned = self.lab.endpoint().learn_interface(name).await;
        Ok(match (learned.map_err(LabError::upstream_unavailable)?, &route) {
            (Some(id), Route::Play(_)) => Route::Play(id.to_string()),
            (Some(id), _) => Route::PinInterface(id.to_string()),
            (None, _) => route,
        })
    }
}

impl Service for LabService {
    async fn answer(&self, request: Request<Bytes>) -> Response<Body> {
        let Some(path) = request.uri().path().strip_prefix(PREFIX) else {
            return Service::answer(self.lab.endpoint(), request).await;
        };
        let route = match Route::read(request.method(), path) {
            Ok(Route::Events) => return events::stream(&self.lab),
            Ok(Route::Copies(target)) => match selection(request.headers(), request.uri()) {
                Ok(selected) if selected.follows => {
                    let streamed =
                        follow::stream(&self.lab, &target, selected.format, selected.first);
                    return streamed.unwrap_or_else(|error| answer::error(&error));
                }
                Ok(_) => Route::Copies(target),
                Err(error) => return answer::error(&error),
            },
            Ok(route) => route,
            Err(error) => return answer::error(&error),
        };
        let route = match self.with_learned_interface(route).await {
            Ok(route) => route,
            Err(error) => return answer::error(&error),
        };
        let lab = self.lab.clone();
        // Dropped with this future, when the client disconnects.
        let stop = StopOnDrop(StopFlag::new());
        let flag = stop.0.clone();
        let respond = move || {
            let (head, body) = request.into_parts();
            respond(&lab, &route, (&head, body), &flag)
                .unwrap_or_else(|error| answer::error(&error))
        };
        // Plays and large responses take long, and other clients must not wait for them.
        let response = tokio::task::spawn_blocking(respond).await;
        response.unwrap_or_else(|error| answer::error(&LabError::failed(error)))
    }

    fn error_response(&self, path: &str, error: &HttpError) -> Response<Body> {
        match path.starts_with(PREFIX) {
            true => answer::rejected(error),
            false => self.lab.endpoint().error_response(path, error),
        }
    }
}

/// Stops the play of a client that disconnected.
struct StopOnDrop(StopFlag);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

fn respond(lab: &Lab, route: &Route, (head, body): (&Parts, Bytes), stop: &StopFlag) -> Answer {
    if !matches!(route, Route::Play(_) | Route::Copies(_)) {
        Query::parse(head.uri.query(), &[])?;
    }
    match route {
        Route::Play(name) => {
            return frames::play(lab, &lab.find_interface(name)?, (head, body), stop);
        }
        Route::PinInterface(name) => {
            lab.pin_network_interface(&lab.find_interface(name)?, interface_pin(&body)?)?;
        }
        Route::Copies(id) => return copies(lab, id, head),
        Route::ClearCopies(id) => {
            let removed = lab.clear_copies(id)?;
            return Ok(document(format!("{{\"removed\":{removed}}}")));
        }
        Route::PinTarget(id) => lab.pin_target(id, target_addresses(&body)?)?,
        Route::UnpinTarget(id) => lab.pin_target(id, Vec::new())?,
        Route::Reset => lab.reset()?,
        Route::SetSeed => lab.set_seed(json::read::<SeedBody>(&body)?.seed),
        Route::SetClock => lab.set_clock(json::read::<ClockBody>(&body)?.now_s),
        Route::Snapshot | Route::Events => return Ok(document(lab.snapshot())),
        Route::Explain => return Ok(document(lab.explain(&explain_request(lab, &body)?)?)),
        Route::Health => return Ok(answer::bytes("text/plain; charset=utf-8", lab.health())),
        Route::OpenApi => return Ok(document(include_str!("openapi.json"))),
    }
    Ok(done())
}

/// Which copies a client requests.
struct CopySelection {
    format: CopyFormat,
    /// The number of the first copy.
    first: u64,
    /// Whether the response continues with later copies.
    follows: bool,
}

fn selection(headers: &HeaderMap, uri: &Uri) -> Result<CopySelection, LabError> {
    let query = Query::parse(uri.query(), &["first", "follow"])?;
    let number = |text: &str| {
        let parsed = text.parse::<u64>();
        parsed.map_err(|_| format!("first `{text}`: expected the number of a copy, from 0"))
    };
    let accept = headers.get(header::ACCEPT).map(|value| value.to_str().unwrap_or_default());
    Ok(CopySelection {
        format: CopyFormat::negotiate(accept)?,
        first: query.parsed("first", number)?.unwrap_or_default(),
        follows: query.boolean("follow")?,
    })
}

fn copies(lab: &Lab, target: &TargetId, head: &Parts) -> Answer {
    let CopySelection { format, first, .. } = selection(&head.headers, &head.uri)?;
    Ok(answer::bytes(format.media_type(), lab.copies_as(target, format, first)?))
}

fn interface_pin(body: &[u8]) -> Result<InterfacePin, LabError> {
    let body: InterfaceBody = json::read(body)?;
    let address = |text: String| {
        text.parse::<IpAddr>().map_err(|_| {
            let expected = "an IP address such as 10.0.0.5";
            invalid(InvalidValue::new("private_ip_addresses", &text, expected))
        })
    };
    let addresses = body.private_ip_addresses.map(|texts| texts.into_iter().map(address).collect());
    let mac_address = body.mac_address.map(|text| MacAddress::parse("mac_address", &text));
    Ok(InterfacePin {
        private_ip_addresses: addresses.transpose()?,
        mac_address: mac_address.transpose().map_err(invalid)?,
        capture: body.capture.map(Into::into),
        device: body.device,
    })
}

fn target_addresses(body: &[u8]) -> Result<Vec<SocketAddr>, LabError> {
    let body: TargetBody = json::read(body)?;
    let parse = |text: &String| parse_target_address("addresses", text, VXLAN_PORT);
    body.addresses.iter().map(parse).collect::<Result<_, _>>().map_err(invalid)
}

fn explain_request(lab: &Lab, body: &[u8]) -> Result<ExplainRequest, LabError> {
    let body: ExplainBody = json::read(body)?;
    let frame = match (body.flow, body.frame) {
        (Some(flow), None) => frame_of_flow(&flow)?,
        (None, Some(frame)) => STANDARD.decode(&frame).map_err(|error| {
            let message = format!("frame: {error}: expected an Ethernet frame in base64");
            LabError::invalid("InvalidBody", message)
        })?,
        _ => {
            let message = "body: expected one of flow and frame";
            return Err(LabError::invalid("InvalidBody", message));
        }
    };
    let id = lab.find_interface(&body.network_interface_id)?;
    let direction = body.direction.as_deref().map(Direction::parse);
    let direction = direction.transpose().map_err(invalid)?;
    Ok(ExplainRequest { network_interface_id: id, direction, frame })
}

fn invalid(error: InvalidValue) -> LabError {
    LabError::invalid("InvalidParameterValue", error)
}
