//! One connection: reads requests, checks them, and enforces the time-outs.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutWriter;
use tokio_rustls::TlsAcceptor;

use super::body::Body;
use super::browser;
use super::connection_table::ConnectionSlot;
use super::error::HttpError;
use super::host::HostNames;
use super::limits::Limits;
use super::service::Service;

/// Values that all connections of a listener share.
pub(super) struct ServerContext<S> {
    pub(super) service: S,
    pub(super) limits: Limits,
    pub(super) hosts: HostNames,
    pub(super) acceptor: Option<TlsAcceptor>,
}

/// One connection of a listener.
struct ClientConnection<S> {
    context: Arc<ServerContext<S>>,
    slot: ConnectionSlot,
    local: IpAddr,
    /// Whether the head of a request was received.
    has_received_request: AtomicBool,
}

/// Serves a connection until the client closes it, a time-out expires, or `closed` completes
/// because another client gets its slot.
pub(super) async fn serve<S: Service>(
    context: Arc<ServerContext<S>>,
    stream: TcpStream,
    (slot, closed): (ConnectionSlot, oneshot::Receiver<()>),
) {
    let Ok(local) = prepare(&stream) else { return };
    let (limits, has_received_request) = (context.limits, AtomicBool::new(false));
    let connection = Arc::new(ClientConnection { context, slot, local, has_received_request });
    tokio::select! {
        () = Arc::clone(&connection).accept_tls(stream) => {}
        _ = closed => {}
        () = connection.wait_for_first_request(limits.first_head) => {}
        () = sleep_or_forever(limits.connection) => {}
    }
}

/// Sets `TCP_NODELAY`, without which the second write of a response waits 40 ms for the client's
/// delayed acknowledgement. Returns the local address.
fn prepare(stream: &TcpStream) -> io::Result<IpAddr> {
    stream.set_nodelay(true)?;
    Ok(stream.local_addr()?.ip().to_canonical())
}

async fn sleep_or_forever(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => pending().await,
    }
}

impl<S: Service> ClientConnection<S> {
    async fn accept_tls(self: Arc<Self>, stream: TcpStream) {
        let mut stream = TimeoutWriter::new(stream);
        // A client that does not read its responses is disconnected.
        stream.set_timeout(Some(self.context.limits.request));
        let stream = Box::pin(stream);
        match self.context.acceptor.clone() {
            None => self.serve_requests(stream).await,
            Some(acceptor) => {
                if let Ok(stream) = acceptor.accept(stream).await {
                    self.serve_requests(stream).await;
                }
            }
        }
    }

    /// Returns when the first head takes longer than `first_head`; otherwise it never returns.
    async fn wait_for_first_request(&self, first_head: Duration) {
        sleep(first_head).await;
        if self.has_received_request.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    }

    async fn serve_requests(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let limits = self.context.limits;
        let service = service_fn(move |request| {
            let connection = Arc::clone(&self);
            async move { Ok::<_, Infallible>(connection.answer(request).await) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .keep_alive(limits.is_kept_alive)
            .header_read_timeout(limits.idle)
            .max_buf_size(limits.head_len)
            .max_headers(limits.headers)
            .serve_connection(TokioIo::new(stream), service);
        // An error concerns only this client.
        let _ = served.await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        self.has_received_request.store(true, Ordering::Relaxed);
        let service = &self.context.service;
        let path = request.uri().path().to_owned();
        let answer = async {
            match self.read(request).await {
                Ok(request) => {
                    self.slot.answer();
                    service.answer(request).await
                }
                Err(error) => service.error_response(&path, &error),
            }
        };
        let answer = timeout(self.context.limits.request, answer).await;
        let answer =
            answer.unwrap_or_else(|_| service.error_response(&path, &HttpError::timed_out()));
        // A stream is not idle, so it is not closed for another connection.
        if !matches!(answer.body(), Body::Stream(_)) {
            self.slot.wait();
        }
        answer
    }

    /// Checks the head of the request and reads its body.
    async fn read(&self, request: Request<Incoming>) -> Result<Request<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        self.context.hosts.check(&head, self.local)?;
        browser::check(&head.headers)?;
        let max_len = self.context.limits.body_len;
        let body =
            Limited::new(body, max_len).collect().await.map_err(|error| match error
                .downcast_ref::<LengthLimitError>()
            {
                Some(_) => HttpError::body_too_large(max_len),
                None => HttpError::invalid("The body of the request ended early."),
            })?;
        Ok(Request::from_parts(head, body.to_bytes()))
    }
}
