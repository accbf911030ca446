//! The thread that serves the endpoint, and what it grants a client.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request as HttpRequest, State};
use axum::http::{Response, StatusCode, header};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutWriter;
use tokio_rustls::TlsAcceptor;

use super::door::TurnedAway;
use super::endpoint::Endpoint;
use super::tls::Certificate;
use crate::control::account::Refused;

/// So many connections at once; more wait until one has ended.
const CONNECTIONS: usize = 512;

/// So long may the head of a request take, and a connection lie idle between two.
const HEAD: Duration = Duration::from_secs(30);

/// So long may a request's body and its answer take.
const REQUEST: Duration = Duration::from_secs(30);

/// So long may the head and the body of a request be, in bytes. CreateTags for 1,000 resources
/// with 50 tags of the longest kind is below this.
const HEAD_LEN: usize = 64 << 10;
const BODY_LEN: usize = 1 << 20;

/// So many header fields may a request have.
const MAX_HEADERS: usize = 100;

/// After a connection that could not be taken (too many open files), so that we do not spin.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Where it listens; the port that was found where port 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing more to say where it panicked.
            let _ = thread.join();
        }
    }
}

/// Serves the endpoint on a thread of its own: over TLS where there is a certificate.
///
/// # Errors
/// The address cannot be bound, or the system refuses the thread.
pub fn serve(
    address: SocketAddr,
    endpoint: Endpoint,
    certificate: Option<Certificate>,
) -> io::Result<Server> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    let guard = runtime.enter();
    let listener = TcpListener::from_std(listener)?;
    drop(guard);
    let (stop, stopped) = oneshot::channel();
    let router = Router::new().fallback(answer).with_state(Arc::new(endpoint));
    let serve = async move {
        tokio::select! {
            _ = stopped => {}
            () = accept(listener, router, certificate.map(Certificate::acceptor)) => {}
        }
    };
    let thread =
        thread::Builder::new().name("ec2".to_owned()).spawn(move || runtime.block_on(serve))?;
    Ok(Server { address, stop: Some(stop), thread: Some(thread) })
}

async fn accept(listener: TcpListener, router: Router, acceptor: Option<TlsAcceptor>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    // Nobody closes the semaphore, so there is always another place.
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let (router, acceptor) = (router.clone(), acceptor.clone());
        tokio::spawn(async move {
            receive(stream, router, acceptor).await;
            drop(place);
        });
    }
}

/// Greets a client. What goes wrong is the client's own trouble.
async fn receive(stream: TcpStream, router: Router, acceptor: Option<TlsAcceptor>) {
    // Without it an answer in two writes waits for the client's delayed acknowledgement, 40 ms.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut stream = TimeoutWriter::new(stream);
    // Whoever takes no answers is hung up on; who takes time to ask is so by other limits.
    stream.set_timeout(Some(REQUEST));
    let stream = Box::pin(stream);
    let Some(acceptor) = acceptor else { return converse(stream, router).await };
    if let Ok(Ok(stream)) = timeout(HEAD, acceptor.accept(stream)).await {
        converse(stream, router).await;
    }
}

/// All requests of a connection.
async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_LEN)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let _ = connection.await;
}

async fn answer(State(endpoint): State<Arc<Endpoint>>, request: HttpRequest) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let read = async {
        let request = match to_bytes(body, BODY_LEN).await {
            Ok(body) => endpoint.read(&parts, &body),
            Err(_) => {
                let message = format!("The body of a request is at most {BODY_LEN} bytes long.");
                let refused = Refused::new("RequestEntityTooLarge", message);
                Err(TurnedAway { refused, is_sts: false })
            }
        };
        endpoint.answer(request).await
    };
    let (status, document) = timeout(REQUEST, read).await.unwrap_or_else(|_| {
        let message = "The request did not end in time.";
        let refused = Refused::new("RequestTimeout", message);
        (408, super::fault::document(&refused, "00000000-0000-4000-8000-000000000000"))
    });
    let mut response = Response::new(Body::from(document));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let xml = header::HeaderValue::from_static("text/xml;charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, xml);
    response
}
