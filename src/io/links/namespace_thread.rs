//! A thread that lives in a network namespace, so that no other thread has to enter it.
//!
//! Entering a namespace needs CAP_SYS_ADMIN. A namespace and capabilities belong to a thread, and a
//! thread that it starts inherits both. So one thread enters once and gives the capability up; the
//! work is done by threads that it starts, several at a time.

use std::io;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread::Builder;

use super::enter_network_namespace;

type Task = Box<dyn FnOnce() + Send>;

enum NamespaceJob {
    /// For a thread of its own.
    OnNewThread(Task),
    /// For the thread in the namespace, whose restrictions the others inherit.
    OnNamespaceThread(Task),
}

/// A network namespace that work can be done in, as long as this lives.
///
/// It is the namespace that had the name at first. One that is deleted stays alive in the kernel
/// until this is dropped, and one that is made anew under the same name is another one.
#[derive(Debug)]
pub struct NamespaceThread {
    jobs: Sender<NamespaceJob>,
}

impl NamespaceThread {
    /// Enters the namespace as [`enter_network_namespace`] does; then the thread calls
    /// `drop_privileges` and keeps what that leaves it.
    ///
    /// # Errors
    /// There is no such namespace, the process may not enter it, or the system refuses the thread.
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
                    // If no thread can start, the sender learns it: its answer never comes.
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

    /// Does something in the namespace, in a thread of its own, and waits for its end.
    ///
    /// # Errors
    /// What `task` returns, or that there is no thread for it.
    pub fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (answer, answered) = sync_channel(1);
        let job = move || {
            // Nobody waits any more if the process is ending.
            let _ = answer.send(task());
        };
        self.jobs.send(NamespaceJob::OnNewThread(Box::new(job))).map_err(|_| thread_ended())?;
        answered.recv().unwrap_or_else(|_| Err(thread_ended()))
    }

    /// Restricts the thread, and with it all that it starts from then on.
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
    io::Error::other("no thread for work in the network namespace")
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
