//! A listener: the thread that accepts connections.

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

/// Pause after a connection that could not be accepted, such as with too many open files.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// So long must no connection be closed for another until the listener counts as not crowded.
const QUIET_PERIOD: Duration = Duration::from_secs(10);

/// What happened to a listener, for the operator. Each kind comes at most once in ten seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Connections are closed to make room for others; so many are open.
    Overloaded(usize),
    /// No connection was closed for others any more; so many were since the beginning of it.
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

/// How a port is served.
pub struct Options {
    /// The name of the thread.
    pub name: &'static str,
    /// What a client may use.
    pub limits: Limits,
    /// Which names are served.
    pub hosts: HostNames,
    /// With it, TLS.
    pub certificate: Option<Certificate>,
    /// Is called with what the operator should know.
    pub report: Box<dyn Fn(Event) + Send + Sync>,
}

/// Serves until it is dropped; dropping waits for the answer that is being made.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Where it listens, with the port that the system chose for port 0.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended too.
            let _ = thread.join();
        }
    }
}

/// Serves a port on a thread of its own.
///
/// # Errors
/// The address cannot be bound, or the system refuses the thread.
pub fn serve<S: Service>(address: SocketAddr, service: S, options: Options) -> io::Result<Server> {
    let listener = std::net::TcpListener::bind(address)?;
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
    let thread =
        thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(serve))?;
    Ok(Server { address, stop: Some(stop), thread: Some(thread) })
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
            // With too many open files, a descriptor is what a new client needs.
            table.close_oldest();
            overload.observe(&table);
            sleep(RETRY_DELAY).await;
            continue;
        };
        let admitted = loop {
            match table.admit(peer.ip()) {
                Some(admitted) => break admitted,
                // Time passes in between, so that a crowd is reported.
                None => drop(timeout(RETRY_DELAY, table.freed()).await),
            }
        };
        overload.observe(&table);
        tokio::spawn(connection::serve(Arc::clone(&context), stream, admitted));
        // Its request may be there already, and is read before another connection may close it.
        yield_now().await;
    }
}

/// Whether connections are being closed for others, for reports of the beginning and the end.
struct OverloadMonitor {
    report: Box<dyn Fn(Event) + Send + Sync>,
    /// How many were closed when it was last looked.
    seen: u64,
    /// How many were closed before it began, and when the last one was.
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

    /// Returns when it has been quiet for long enough; never where there is no crowd.
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
