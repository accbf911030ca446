//! The paths of the API and their methods.

use ::http::Method;
use percent_encoding::percent_decode_str;

use crate::lab::error::LabError;
use crate::model::{InvalidValue, TargetId};

/// The start of all paths.
pub(super) const PREFIX: &str = "/_traffic-mirror/";

const VERSION: &str = "v1";

/// What a request does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// Of the interface that a selector names.
    Play(String),
    PinInterface(String),
    Copies(TargetId),
    ClearCopies(TargetId),
    PinTarget(TargetId),
    UnpinTarget(TargetId),
    Reset,
    SetSeed,
    SetClock,
    Snapshot,
    Events,
    Explain,
    Health,
    OpenApi,
}

/// The methods of each path, for errors. `{}` is an id.
const PATHS: &[(&str, &[Method])] = &[
    ("network-interfaces/{}/frames", &[Method::POST]),
    ("network-interfaces/{}", &[Method::PUT]),
    ("targets/{}/copies", &[Method::GET, Method::DELETE]),
    ("targets/{}/address", &[Method::PUT, Method::DELETE]),
    ("reset", &[Method::POST]),
    ("seed", &[Method::POST]),
    ("clock", &[Method::PUT]),
    ("snapshot", &[Method::GET]),
    ("events", &[Method::GET]),
    ("explain", &[Method::POST]),
    ("health", &[Method::GET]),
    ("openapi.json", &[Method::GET]),
];

impl Route {
    /// Reads a path after [`PREFIX`].
    pub(super) fn read(method: &Method, path: &str) -> Result<Self, LabError> {
        let decode = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
        let segments: Vec<String> = path.split('/').map(decode).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (version, rest) = segments.split_first().unwrap_or((&"", &[]));
        if *version != VERSION {
            return Err(unknown(path));
        }
        let target = |id: &str| TargetId::new(id).map_err(invalid_id);
        // HEAD is GET without a body, which the listener removes.
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        Ok(match (method.as_str(), rest) {
            ("POST", ["network-interfaces", id, "frames"]) => Self::Play((*id).to_owned()),
            ("PUT", ["network-interfaces", id]) => Self::PinInterface((*id).to_owned()),
            ("GET", ["targets", id, "copies"]) => Self::Copies(target(id)?),
            ("DELETE", ["targets", id, "copies"]) => Self::ClearCopies(target(id)?),
            ("PUT", ["targets", id, "address"]) => Self::PinTarget(target(id)?),
            ("DELETE", ["targets", id, "address"]) => Self::UnpinTarget(target(id)?),
            ("POST", ["reset"]) => Self::Reset,
            ("POST", ["seed"]) => Self::SetSeed,
            ("PUT", ["clock"]) => Self::SetClock,
            ("GET", ["snapshot"]) => Self::Snapshot,
            ("GET", ["events"]) => Self::Events,
            ("POST", ["explain"]) => Self::Explain,
            ("GET", ["health"]) => Self::Health,
            ("GET", ["openapi.json"]) => Self::OpenApi,
            (method, rest) => return Err(wrong_method_or_path(method, rest, path)),
        })
    }
}

fn wrong_method_or_path(method: &str, segments: &[&str], path: &str) -> LabError {
    let is_like = |pattern: &str| {
        let parts: Vec<&str> = pattern.split('/').collect();
        let is_equal = |(part, segment): (&&str, &&str)| *part == "{}" || part == segment;
        parts.len() == segments.len() && parts.iter().zip(segments).all(is_equal)
    };
    let Some((_, methods)) = PATHS.iter().find(|(pattern, _)| is_like(pattern)) else {
        return unknown(path);
    };
    let expected: Vec<&str> = methods.iter().map(Method::as_str).collect();
    let message = format!("method {method}: expected {} for {PREFIX}{path}", expected.join(" or "));
    LabError::invalid("MethodNotAllowed", message)
}

fn unknown(path: &str) -> LabError {
    let message =
        format!("path {PREFIX}{path}: expected one of those in {PREFIX}{VERSION}/openapi.json");
    LabError::not_found("UnknownPath", message)
}

fn invalid_id(error: InvalidValue) -> LabError {
    LabError::invalid("InvalidId", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_become_routes() {
        let read = |method: Method, path| Route::read(&method, path);
        let play = read(Method::POST, "v1/network-interfaces/eni-1/frames").unwrap();
        assert_eq!(play, Route::Play("eni-1".to_owned()));
        let copies = read(Method::GET, "v1/targets/a%20b/copies").unwrap();
        assert_eq!(copies, Route::Copies(TargetId::new("a b").unwrap()));
        let error = read(Method::GET, "v1/reset").unwrap_err();
        assert_eq!(error.code, "MethodNotAllowed");
        assert!(error.message.contains("method GET: expected POST"), "{error}");
        for path in ["v2/reset", "v1/rest", "v1", "", "v1/targets/x", "v1/reset/"] {
            assert_eq!(read(Method::GET, path).unwrap_err().code, "UnknownPath", "{path}");
        }
    }

    #[test]
    fn every_path_is_documented() {
        let text = include_str!("openapi.json");
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), PATHS.len());
        for (pattern, methods) in PATHS {
            let is_same = |documented: &str| {
                let documented = documented.strip_prefix("/_traffic-mirror/v1/").unwrap();
                let parts = documented.split('/');
                let plain = parts.map(|part| if part.starts_with('{') { "{}" } else { part });
                plain.collect::<Vec<_>>().join("/") == *pattern
            };
            let (_, operations) = paths.iter().find(|(path, _)| is_same(path)).unwrap();
            for method in *methods {
                let name = method.as_str().to_ascii_lowercase();
                assert!(operations.get(&name).is_some(), "{name} {pattern}");
            }
        }
    }
}
