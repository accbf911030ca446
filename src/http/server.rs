//! A listener: a thread that accepts connections and closes waiting ones when there are too many.

use std::fmt;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connection::{self, ServerContext};
use super::connection_table::ConnectionTable;
use super::host::HostNames;
use super::limits::Limits;
use super::service::Service;
use super::tls::Certificate;

/// The pause after a failed accept, such as with too many open files.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// How long the end of a listener waits for work on other threads.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// The overload ends when no connection was closed for another for this time.
const QUIET_PERIOD: Duration = Duration::from_secs(10);

/// An event of a listener for the operator. Each kind is reported at most once in 10 s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Connections are closed to admit others. The value is the number of open connections.
    Overloaded(usize),
    /// Connections are no longer closed for others. The value is the number that were closed since
    /// [`Event::Overloaded`].
    OverloadEnded(u64),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overloaded(open) => write!(
                f,
                "too many connections ({open} are open): those that have been idle or incomplete \
                 for the longest time are closed for new ones"
            ),
            Self::OverloadEnded(closed) => write!(
                f,
                "connections are no longer closed for new ones; {closed} were closed early"
            ),
        }
    }
}

/// The options of a listener.
pub struct Options {
    /// The name of the listener's thread.
    pub name: &'static str,
    /// The limits and time-outs of clients.
    pub limits: Limits,
    /// The names that are accepted in the Host header.
    pub hosts: HostNames,
    /// The certificate for TLS. Without it the connections are not encrypted.
    pub certificate: Option<Certificate>,
    /// Receives the events of the listener.
    pub report: Box<dyn Fn(Event) + Send + Sync>,
}

/// A running listener. It stops when this is dropped; dropping waits for the response in progress.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// The address that it listens on. For port 0 it contains the port that the system chose.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // An error means that the thread panicked, so it has ended.
            let _ = thread.join();
        }
    }
}

/// Serves a port on a new thread.
///
/// # Errors
/// The address cannot be bound, or the system refuses the thread.
pub fn serve<S: Service>(address: SocketAddr, service: S, options: Options) -> io::Result<Server> {
    let listener = std::net::TcpListener::bind(address).map_err(|error| bind_error(&error))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    let guard = runtime.enter();
    let listener = TcpListener::from_std(listener)?;
    drop(guard);
    let (stop, stopped) = oneshot::channel();
    let Options { name, limits, hosts, certificate, report } = options;
    let acceptor = certificate.map(Certificate::acceptor);
    let context = Arc::new(ServerContext { service, limits, hosts, acceptor });
    let serve = async move {
        tokio::select! {
            _ = stopped => {}
            () = accept(listener, context, report) => {}
        }
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        runtime.block_on(serve);
        // Work on other threads that does not end must not prevent the end of the program.
        runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    })?;
    Ok(Server { address, stop: Some(stop), thread: Some(thread) })
}

fn bind_error(error: &io::Error) -> io::Error {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "; another program uses the port",
        io::ErrorKind::AddrNotAvailable => "; this host does not have this address",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need root or CAP_NET_BIND_SERVICE",
        _ => "",
    };
    io::Error::new(error.kind(), format!("{error}{why}"))
}

async fn accept<S: Service>(
    listener: TcpListener,
    context: Arc<ServerContext<S>>,
    report: Box<dyn Fn(Event) + Send + Sync>,
) {
    let Limits { connections, waiting_per_peer, .. } = context.limits;
    let table = Arc::new(ConnectionTable::new(connections, waiting_per_peer));
    let mut overload = OverloadMonitor { report, seen: 0, overloaded: None };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = overload.wait_until_quiet() => {
                overload.end();
                continue;
            }
        };
        let Ok((stream, peer)) = accepted else {
            // With too many open files, closing a connection frees a descriptor for a new client.
            table.close_oldest();
            overload.observe(&table);
            sleep(RETRY_DELAY).await;
            continue;
        };
        let admitted = loop {
            match table.admit(peer.ip()) {
                Some(admitted) => break admitted,
                // Waits, because all connections are being answered.
                None => drop(timeout(RETRY_DELAY, table.freed()).await),
            }
        };
        overload.observe(&table);
        tokio::spawn(connection::serve(Arc::clone(&context), stream, admitted));
        // The request may have arrived already. It is read before another connection can displace
        // this one.
        yield_now().await;
    }
}

/// Reports the start and the end of an overload, during which connections are closed for others.
struct OverloadMonitor {
    report: Box<dyn Fn(Event) + Send + Sync>,
    /// The number of closed connections at the last observation.
    seen: u64,
    /// During an overload: the number of closed connections before it, and the time of the last
    /// one.
    overloaded: Option<(u64, Instant)>,
}

impl OverloadMonitor {
    fn observe(&mut self, table: &ConnectionTable) {
        let closed = table.closed();
        if closed == self.seen {
            return;
        }
        let before = match self.overloaded {
            Some((before, _)) => before,
            None => {
                (self.report)(Event::Overloaded(table.len()));
                self.seen
            }
        };
        self.overloaded = Some((before, Instant::now()));
        self.seen = closed;
    }

    /// Returns when the overload has ended; without an overload it never returns.
    async fn wait_until_quiet(&self) {
        match self.overloaded {
            Some((_, last)) => sleep_until(last + QUIET_PERIOD).await,
            None => pending().await,
        }
    }

    fn end(&mut self) {
        if let Some((before, _)) = self.overloaded.take() {
            (self.report)(Event::OverloadEnded(self.seen - before));
        }
    }
}
