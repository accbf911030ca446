//! The interface between the listener and the pages or actions of a port.

use std::future::Future;

use ::http::{Request, Response};
use bytes::Bytes;

use super::body::Body;
use super::error::HttpError;

/// Answers the requests of one port.
pub trait Service: Send + Sync + 'static {
    /// Answers a request. Its Host, Origin and Sec-Fetch-Site headers were checked.
    fn answer(&self, request: Request<Bytes>) -> impl Future<Output = Response<Body>> + Send;

    /// The response to a request for a path that the listener rejects.
    fn error_response(&self, path: &str, error: &HttpError) -> Response<Body>;
}
