//! The thread that serves the pages, and what it grants a client.
//!
//! A connection carries one request and ends after some seconds whatever its client does, so that
//! neither a slow sender nor a slow reader holds more than its own place.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::pages::{TakeSnapshot, router};

/// What a client is granted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grants {
    /// So many connections at once; more wait until one has ended.
    pub(super) connections: usize,
    /// So long may the head of a request take.
    pub(super) head: Duration,
    /// So long may a connection last. Prometheus itself gives up after ten seconds.
    pub(super) connection: Duration,
    /// So long may the head of a request be, in bytes.
    pub(super) head_len: usize,
}

const GRANTS: Grants = Grants {
    connections: 64,
    head: Duration::from_secs(3),
    connection: Duration::from_secs(10),
    head_len: 16 << 10,
};

/// So many header fields may a request have.
const MAX_HEADERS: usize = 64;

/// After a connection that could not be taken (too many open files), so that we do not spin.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is dropped; dropping waits for the page that is being made.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Where it listens; the port that was found where port 0 was asked for.
    pub(crate) const fn address(&self) -> SocketAddr {
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

/// Serves the pages on a thread of its own. A picture is taken on that thread for every page.
///
/// # Errors
/// The address cannot be bound, or the system refuses the thread.
pub(crate) fn serve(address: SocketAddr, snapshot: TakeSnapshot) -> io::Result<Server> {
    serve_with(address, snapshot, GRANTS)
}

pub(super) fn serve_with(
    address: SocketAddr,
    snapshot: TakeSnapshot,
    grants: Grants,
) -> io::Result<Server> {
    let listener = std::net::TcpListener::bind(address).map_err(|error| taken(address, &error))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    let guard = runtime.enter();
    let listener = TcpListener::from_std(listener)?;
    drop(guard);
    let (stop, stopped) = oneshot::channel();
    let serve = async move {
        tokio::select! {
            _ = stopped => {}
            () = accept(listener, router(snapshot), grants) => {}
        }
    };
    let thread =
        thread::Builder::new().name("metrics".to_owned()).spawn(move || runtime.block_on(serve))?;
    Ok(Server { address, stop: Some(stop), thread: Some(thread) })
}

async fn accept(listener: TcpListener, router: Router, grants: Grants) {
    let room = Arc::new(Semaphore::new(grants.connections));
    // Nobody closes the semaphore, so there is always another place.
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let router = router.clone();
        tokio::spawn(async move {
            answer(stream, router, grants).await;
            drop(place);
        });
    }
}

/// One request and its answer. What goes wrong is the client's own trouble.
async fn answer(stream: TcpStream, router: Router, grants: Grants) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .header_read_timeout(grants.head)
        .max_buf_size(grants.head_len)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let _ = timeout(grants.connection, connection).await;
}

fn taken(address: SocketAddr, error: &io::Error) -> io::Error {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "; another program has the port",
        io::ErrorKind::AddrNotAvailable => "; it is none of this host's addresses",
        _ => "",
    };
    io::Error::new(error.kind(), format!("serving metrics on {address}: {error}{why}"))
}
