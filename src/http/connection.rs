//! One connection: its requests, their checks, and the time that each may take.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
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

use super::connection_table::Place;
use super::host::HostNames;
use super::limits::Limits;
use super::refusal::Refusal;
use super::server::Service;
use super::web_page;

/// What all connections of a listener have in common.
pub(super) struct Port<S> {
    pub(super) service: S,
    pub(super) limits: Limits,
    pub(super) hosts: HostNames,
    pub(super) acceptor: Option<TlsAcceptor>,
}

/// One connection of a port.
struct Conversation<S> {
    port: Arc<Port<S>>,
    place: Place,
    local: IpAddr,
    /// Whether the head of a request has come.
    has_asked: AtomicBool,
}

/// Serves a connection to its end, which comes when the client closes it, when a time has passed,
/// or when `closed` says that its place is for another client.
pub(super) async fn serve<S: Service>(
    port: Arc<Port<S>>,
    stream: TcpStream,
    (place, closed): (Place, oneshot::Receiver<()>),
) {
    let Ok(local) = prepare(&stream) else { return };
    let (limits, has_asked) = (port.limits, AtomicBool::new(false));
    let conversation = Arc::new(Conversation { port, place, local, has_asked });
    tokio::select! {
        () = Arc::clone(&conversation).greet(stream) => {}
        _ = closed => {}
        () = conversation.is_overdue(limits.first_head) => {}
        () = after(limits.connection) => {}
    }
}

/// Without `TCP_NODELAY`, an answer in two writes waits for the client's delayed acknowledgement,
/// 40 ms.
fn prepare(stream: &TcpStream) -> io::Result<IpAddr> {
    stream.set_nodelay(true)?;
    Ok(stream.local_addr()?.ip().to_canonical())
}

async fn after(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => pending().await,
    }
}

impl<S: Service> Conversation<S> {
    async fn greet(self: Arc<Self>, stream: TcpStream) {
        let mut stream = TimeoutWriter::new(stream);
        // A client that does not read its answers is disconnected.
        stream.set_timeout(Some(self.port.limits.request));
        let stream = Box::pin(stream);
        match self.port.acceptor.clone() {
            None => self.converse(stream).await,
            Some(acceptor) => {
                if let Ok(stream) = acceptor.accept(stream).await {
                    self.converse(stream).await;
                }
            }
        }
    }

    /// Returns when the first head took too long; else never.
    async fn is_overdue(&self, first_head: Duration) {
        sleep(first_head).await;
        if self.has_asked.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    }

    async fn converse(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let limits = self.port.limits;
        let service = service_fn(move |request| {
            let conversation = Arc::clone(&self);
            async move { Ok::<_, Infallible>(conversation.answer(request).await.map(Full::new)) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .keep_alive(limits.is_kept_alive)
            .header_read_timeout(limits.idle)
            .max_buf_size(limits.head_len)
            .max_headers(limits.headers)
            .serve_connection(TokioIo::new(stream), service);
        // What goes wrong here concerns this client alone.
        let _ = connection.await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Bytes> {
        self.has_asked.store(true, Ordering::Relaxed);
        let service = &self.port.service;
        let answer = async {
            match self.read(request).await {
                Ok(request) => {
                    self.place.answer();
                    service.answer(request).await
                }
                Err(refusal) => service.refuse(&refusal),
            }
        };
        let answer = timeout(self.port.limits.request, answer).await;
        self.place.wait();
        answer.unwrap_or_else(|_| service.refuse(&Refusal::too_late()))
    }

    /// The whole request, when it may be answered.
    async fn read(&self, request: Request<Incoming>) -> Result<Request<Bytes>, Refusal> {
        let (head, body) = request.into_parts();
        self.port.hosts.check(&head, self.local)?;
        web_page::check(&head.headers)?;
        let most = self.port.limits.body_len;
        let body = Limited::new(body, most).collect().await.map_err(|error| match error
            .downcast_ref::<LengthLimitError>(
        ) {
            Some(_) => Refusal::too_long(most),
            None => Refusal::invalid("The body of the request ended early."),
        })?;
        Ok(Request::from_parts(head, body.to_bytes()))
    }
}
