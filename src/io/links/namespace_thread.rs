//! A thread in a network namespace, so that no other thread has to enter it.
//!
//! Entering a namespace needs CAP_SYS_ADMIN. A namespace and capabilities belong to a thread, and a
//! thread that it starts inherits both. So one thread enters once and drops the capability. It
//! starts a thread for each task, and several tasks can run at the same time.

use std::io;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread::Builder;

use super::enter_network_namespace;

type Task = Box<dyn FnOnce() + Send>;

enum NamespaceJob {
    /// A task for a new thread.
    OnNewThread(Task),
    /// A task for the thread in the namespace, whose restrictions the other threads inherit.
    OnNamespaceThread(Task),
}

/// A network namespace in which tasks can run while this exists.
///
/// The namespace stays the same if its name is deleted or created again: the kernel keeps it until
/// this is dropped.
#[derive(Debug)]
pub struct NamespaceThread {
    jobs: Sender<NamespaceJob>,
}

impl NamespaceThread {
    /// Starts a thread that enters the namespace as [`enter_network_namespace`] does and then calls
    /// `drop_privileges` once.
    ///
    /// # Errors
    /// The namespace does not exist, the process has no permission to enter it, or the system
    /// refuses the thread.
    pub fn enter(name: &str, drop_privileges: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (jobs, queue) = channel::<NamespaceJob>();
        let (entered, entry_result) = sync_channel(1);
        let name = name.to_owned();
        let serve = move || {
            let result = enter_network_namespace(&name);
            let is_there = result.is_ok();
            drop_privileges();
            let _ = entered.send(result);
            while is_there && let Ok(job) = queue.recv() {
                match job {
                    // If no thread can be started, the channel for the result is closed.
                    NamespaceJob::OnNewThread(task) => {
                        let _ = Builder::new().name("in-namespace".to_owned()).spawn(task);
                    }
                    NamespaceJob::OnNamespaceThread(task) => task(),
                }
            }
        };
        Builder::new().name("namespace".to_owned()).spawn(serve)?;
        entry_result.recv().unwrap_or_else(|_| Err(thread_ended()))?;
        Ok(Self { jobs })
    }

    /// Runs a task in the namespace on a new thread and waits for its result.
    ///
    /// # Errors
    /// The error that `task` returns, or an error if no thread can be started for it.
    pub fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (answer, answered) = sync_channel(1);
        let job = move || {
            // Sending fails if the receiver was dropped because the process is ending.
            let _ = answer.send(task());
        };
        self.jobs.send(NamespaceJob::OnNewThread(Box::new(job))).map_err(|_| thread_ended())?;
        answered.recv().unwrap_or_else(|_| {
            let sentence = "a task in the network namespace has no result: its thread could not \
                            be started, or it panicked";
            Err(io::Error::other(sentence))
        })
    }

    /// Runs a task that restricts the thread, and so all threads that it starts afterwards.
    ///
    /// # Errors
    /// The thread has ended.
    pub fn restrict(&self, task: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let (answer, answered) = sync_channel(1);
        let job = move || {
            task();
            let _ = answer.send(());
        };
        self.jobs
            .send(NamespaceJob::OnNamespaceThread(Box::new(job)))
            .map_err(|_| thread_ended())?;
        answered.recv().map_err(|_| thread_ended())
    }
}

fn thread_ended() -> io::Error {
    io::Error::other("the thread in the network namespace has ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_thread_drops_capabilities_and_runs_work() {
        let link = std::fs::read_link("/proc/self/ns/net").unwrap();
        let entered = NamespaceThread::enter("/proc/self/ns/net", || {});
        let Ok(thread) = entered else {
            eprintln!("NOT RUN: entering a namespace needs CAP_SYS_ADMIN");
            return;
        };
        let inside = thread.run(|| std::fs::read_link("/proc/thread-self/ns/net")).unwrap();
        assert_eq!(inside, link);
        let error = thread.run(|| Err::<(), _>(io::Error::other("no"))).unwrap_err();
        assert_eq!(error.to_string(), "no");
        assert!(thread.run(|| -> io::Result<()> { panic!("a test") }).is_err());
        assert_eq!(thread.run(|| Ok(7)).unwrap(), 7);
    }

    #[test]
    fn a_missing_namespace_is_an_error_with_its_path() {
        let error = NamespaceThread::enter("tm-no-such-namespace", || {}).unwrap_err();
        assert!(error.to_string().contains("tm-no-such-namespace"), "{error}");
    }
}
