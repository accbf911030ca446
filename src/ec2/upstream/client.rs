//! The HTTP client: one connection for each request, with time-outs and a limit for the response.

use std::fmt::Display;
use std::pin::pin;
use std::time::Duration;

use ::http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use ::http::uri::PathAndQuery;
use ::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::error::UpstreamError;

/// The time to connect. Emulators run on the same host or network.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The time from the start of a request to the end of its response. It is shorter than the time
/// that the endpoint has for a request, so that clients receive the reason.
const TIMEOUT: Duration = Duration::from_secs(25);

/// The maximum length of the body of a response.
const MAX_BODY_LEN: usize = 64 << 20;

/// The client of one server.
#[derive(Debug)]
pub(super) struct Client {
    url: String,
    host: String,
    port: u16,
    /// The value of the Host header of requests that do not come from a client.
    authority: HeaderValue,
}

/// Why there is no response.
enum Failure {
    /// The server cannot be reached, or ended the connection: a sentence.
    Down(String),
    /// The body of the response is longer than [`MAX_BODY_LEN`].
    TooLong,
}

impl Failure {
    fn down(error: impl Display) -> Self {
        Self::Down(error.to_string())
    }
}

impl Client {
    pub(super) fn new(url: &str) -> Result<Self, String> {
        let expected =
            |why: &str| format!("`{url}`: expected a URL such as http://127.0.0.1:5000, but {why}");
        let uri: Uri = url.parse().map_err(|_| expected("this is not a URL"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(expected("https is not supported")),
            _ => return Err(expected("it does not begin with http://")),
        }
        let authority = uri.authority().ok_or_else(|| expected("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(expected("it has a user name"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(expected("it has a path or a query"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(expected("it names no host"));
        }
        let port = match authority.as_str() == authority.host() {
            true => Some(80),
            false => authority.port_u16().filter(|port| *port != 0),
        };
        let port = port.ok_or_else(|| expected("its port is not one of 1 to 65535"))?;
        let authority = HeaderValue::from_str(authority.as_str());
        let authority = authority.map_err(|_| expected("this is not a URL"))?;
        Ok(Self { url: url.trim_end_matches('/').to_owned(), host, port, authority })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Sends a request and receives the response. The headers that concern only one connection are
    /// removed from both. The Host header of a client is kept, because emulators find buckets in it
    /// and make URLs of it.
    pub(super) async fn send(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, UpstreamError> {
        let url = || self.url.clone();
        let exceeds = |limit: String| UpstreamError::LimitExceeded { url: url(), limit };
        match timeout(TIMEOUT, self.exchange(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(Failure::Down(why))) => Err(UpstreamError::Down { url: url(), why }),
            Ok(Err(Failure::TooLong)) => Err(exceeds(format!("{} MiB", MAX_BODY_LEN >> 20))),
            Err(_) => Err(exceeds(format!("{} s", TIMEOUT.as_secs()))),
        }
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Failure> {
        let connect = timeout(CONNECT_TIMEOUT, TcpStream::connect((&*self.host, self.port)));
        let stream = match connect.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Failure::down(error)),
            Err(_) => {
                let why = format!("no connection in {} s", CONNECT_TIMEOUT.as_secs());
                return Err(Failure::Down(why));
            }
        };
        stream.set_nodelay(true).map_err(Failure::down)?;
        let io = TokioIo::new(stream);
        let (mut sender, connection) = http1::handshake(io).await.map_err(Failure::down)?;
        let request = self.outgoing(request);
        let keeps_len = request.method() == ::http::Method::HEAD;
        let mut exchange = pin!(async move {
            let response = sender.send_request(request).await.map_err(Failure::down)?;
            let (mut head, body) = response.into_parts();
            let body = Limited::new(body, MAX_BODY_LEN).collect().await;
            let body = body.map_err(|error| match error.is::<LengthLimitError>() {
                true => Failure::TooLong,
                false => Failure::Down(format!("its response ended: {error}")),
            })?;
            head.headers = end_to_end_headers(&head.headers, keeps_len);
            Ok(Response::from_parts(head, body.to_bytes()))
        });
        tokio::select! {
            biased;
            result = &mut exchange => result,
            // The response may have arrived before the connection ended.
            _ = connection => exchange.await,
        }
    }

    fn outgoing(&self, request: Request<Bytes>) -> Request<Full<Bytes>> {
        let (mut head, body) = request.into_parts();
        head.headers = end_to_end_headers(&head.headers, false);
        // The body is sent at once.
        head.headers.remove(EXPECT);
        head.headers.entry(HOST).or_insert_with(|| self.authority.clone());
        let target = head.uri.path_and_query().cloned();
        head.uri = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
        head.version = ::http::Version::HTTP_11;
        Request::from_parts(head, Full::new(body))
    }
}

/// The headers without those that concern only one connection (RFC 9110, section 7.6.1), and
/// without the length of the body unless `keeps_len`.
fn end_to_end_headers(headers: &HeaderMap, keeps_len: bool) -> HeaderMap {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<String> = named
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let is_of_connection = |name: &HeaderName| {
        let fixed = [
            CONNECTION,
            PROXY_AUTHENTICATE,
            PROXY_AUTHORIZATION,
            TE,
            TRAILER,
            TRANSFER_ENCODING,
            UPGRADE,
        ];
        fixed.contains(name)
            || matches!(name.as_str(), "keep-alive" | "proxy-connection")
            || named.iter().any(|one| one == name.as_str())
            || *name == CONTENT_LENGTH && !keeps_len
    };
    let kept = headers.iter().filter(|(name, _)| !is_of_connection(name));
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in kept {
        map.append(name.clone(), value.clone());
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_http_servers_are_accepted() {
        for (url, host, port) in [
            ("http://127.0.0.1:5000", "127.0.0.1", 5000),
            ("http://localhost", "localhost", 80),
            ("http://[::1]:4566/", "::1", 4566),
        ] {
            let client = Client::new(url).unwrap();
            assert_eq!((&*client.host, client.port), (host, port), "{url}");
            assert_eq!(client.url(), url.trim_end_matches('/'));
        }
        for (url, why) in [
            ("https://localhost:5000", "https is not supported"),
            ("localhost:5000", "does not begin with http://"),
            ("ftp://localhost", "does not begin with http://"),
            ("http://", "not a URL"),
            ("http://a:b@localhost", "a user name"),
            ("http://localhost/path", "a path"),
            ("http://localhost/?a", "a path or a query"),
            ("http://localhost:0", "port"),
            ("http://localhost:99999", "port"),
            ("", "not a URL"),
        ] {
            let refused = Client::new(url).unwrap_err();
            assert!(refused.contains(why), "{url}: {refused}");
        }
    }

    #[test]
    fn headers_of_one_connection_are_removed() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Trace"),
            ("x-trace", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("content-length", "7"),
            ("etag", "\"a\""),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers.append("x-amz-meta-a", HeaderValue::from_static("1"));
        headers.append("x-amz-meta-a", HeaderValue::from_static("2"));
        let kept = end_to_end_headers(&headers, false);
        let names: Vec<&str> = kept.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["etag", "x-amz-meta-a"]);
        assert_eq!(kept.get_all("x-amz-meta-a").iter().count(), 2);
        assert_eq!(end_to_end_headers(&headers, true)["content-length"], "7");
    }
}
