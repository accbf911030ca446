//! SIGINT and SIGTERM end a run in good order; a second one ends the program at once.

use std::io;
use std::thread;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::io::{StopFlag, stop};

/// From now on sets the flag at the first SIGINT or SIGTERM, and gives both signals back to the
/// system then, so that the second one ends the program.
///
/// # Errors
/// The system refuses the thread or the signals.
pub(super) fn stop_on_signal(flag: StopFlag) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let guard = runtime.enter();
    let interrupt = signal(SignalKind::interrupt())?;
    let terminate = signal(SignalKind::terminate())?;
    drop(guard);
    let wait = move || {
        runtime.block_on(either(interrupt, terminate));
        flag.set();
        // Where that fails the flag is set all the same, and the run ends by it.
        let _ = stop::restore_default_signals();
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

async fn either(mut interrupt: Signal, mut terminate: Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
