//! Threads for slow tasks: opening devices and joining workers.
//!
//! When a ring is opened or closed, the kernel waits until no processor uses the socket any more
//! (`synchronize_net` in `packet_set_ring`), which takes 10 to 30 ms. Threads that wait at the same
//! time share this wait: with 8 threads, 200 interfaces are opened in the time of about 25.

use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};

/// The number of devices that are opened and closed at the same time. With 8 threads, 200 rings of
/// 5 MiB were opened in 0.4 s, with one thread in 2.8 s. More threads compete for the kernel's
/// locks.
pub(super) const DEVICE_THREADS: usize = 8;

type Task = Box<dyn FnOnce() + Send>;

/// Runs tasks in the order in which they are added, at most `max_threads` at a time. After it is
/// dropped, its threads finish the queued tasks.
pub(super) struct TaskPool {
    tasks: Sender<Task>,
    queue: Receiver<Task>,
    threads: usize,
    max_threads: usize,
    name: &'static str,
}

impl TaskPool {
    /// A pool without a thread. Each task starts one, up to `max_threads` with the name `name`.
    pub(super) fn new(name: &'static str, max_threads: usize) -> Self {
        let (tasks, queue) = unbounded();
        Self { tasks, queue, threads: 0, max_threads, name }
    }

    /// Runs a task on a thread of the pool, or on the calling thread if no thread can be started.
    pub(super) fn run(&mut self, task: impl FnOnce() + Send + 'static) {
        // Sending cannot fail, because the pool holds both ends of the queue.
        let _ = self.tasks.send(Box::new(task));
        if self.threads < self.max_threads && self.start().is_ok() {
            self.threads += 1;
        }
        if self.threads == 0
            && let Ok(task) = self.queue.try_recv()
        {
            task();
        }
    }

    fn start(&self) -> std::io::Result<()> {
        let queue = self.queue.clone();
        let work = move || queue.iter().for_each(|task| task());
        thread::Builder::new().name(self.name.to_owned()).spawn(work).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn each_task_runs_once() {
        for count in [0, 1, 7, 200] {
            let mut pool = TaskPool::new("tasks", 3);
            let (done, results) = channel();
            for number in 0..count {
                let done = done.clone();
                pool.run(move || done.send(number).unwrap());
            }
            drop((pool, done));
            let mut results: Vec<i32> = results.iter().collect();
            results.sort_unstable();
            assert_eq!(results, (0..count).collect::<Vec<_>>());
        }
    }
}
