//! Runs the status and the receipts of the live workers through interleavings of their threads:
//! shuttle runs one thread at a time, and chooses after each step which thread is next.
//!
//! `receipt.rs` and `status.rs` are compiled from the program with the primitives of shuttle. The
//! mailbox (a channel of crossbeam in the program) and the loop of a worker are written again for
//! this test, so these tests do not cover them. Small cases run in all orders; cases in which a
//! thread waits run in many random orders.

#![expect(clippy::unwrap_used, reason = "a thread that fails ends the test")]

#[path = "../src/runtime/receipt.rs"]
mod receipt;
#[path = "../src/runtime/status.rs"]
mod status;

/// What `src/runtime/sync.rs` imports from the standard library.
mod sync {
    pub(super) use std::sync::PoisonError;

    pub(super) use shuttle::sync::atomic::{AtomicBool, Ordering};
    pub(super) use shuttle::sync::{Arc, Mutex, MutexGuard};
}

use shuttle::{check_dfs, check_random, thread};

use receipt::Receipt;
use shuttle::sync::atomic::AtomicU64;
use status::Status;
use sync::{Arc, AtomicBool, Mutex, Ordering};

/// Replaces the mailbox of a worker.
struct Mailbox<T>(Arc<Mutex<Vec<T>>>);

impl<T> Mailbox<T> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Vec::new())))
    }

    fn send(&self, message: T) {
        self.0.lock().unwrap().push(message);
    }

    fn take_all(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A command to a worker: the number of a table, or the end.
#[derive(Debug, PartialEq, Eq)]
enum Message {
    Table(u64),
    End,
}

/// The number of random orders of a case. A failure prints the seed that repeats it.
const RANDOM_ORDERS: usize = 20_000;

/// Runs a case in all orders.
fn check_all_orders(case: impl Fn() + Send + Sync + 'static) {
    check_dfs(case, None);
}

/// Runs a case in many random orders.
fn check_random_orders(case: impl Fn() + Send + Sync + 'static) {
    check_random(case, RANDOM_ORDERS);
}

/// A loop like that of a worker: it applies the messages in its mailbox, and publishes its status
/// when that is requested and at its end. Returns the tables that were in force, in order.
fn run_worker(mailbox: &Mailbox<Message>, status: &Status<u64>) -> Vec<u64> {
    let mut tables = vec![0];
    let mut is_ending = false;
    while !is_ending {
        let messages = mailbox.take_all();
        let is_idle = messages.is_empty();
        for message in messages {
            match message {
                Message::Table(number) => tables.push(number),
                Message::End => is_ending = true,
            }
        }
        if is_ending || status.is_requested() {
            status.publish(|published| *published = tables.last().copied().unwrap());
        } else if is_idle {
            thread::yield_now();
        }
    }
    tables
}

#[test]
fn no_message_is_lost_and_none_overtakes_another() {
    check_random_orders(|| {
        let (mailbox, status) = (Mailbox::new(), Status::new());
        let (sent, published) = (mailbox.clone(), status.clone());
        let worker = thread::spawn(move || run_worker(&mailbox, &status));
        sent.send(Message::Table(1));
        sent.send(Message::Table(2));
        sent.send(Message::End);
        assert_eq!(worker.join().unwrap(), [0, 1, 2]);
        assert_eq!(*published.read(), 2);
    });
}

/// A change over the API is answered when its receipt reports: the table is then in force in every
/// worker that was sent it.
#[test]
fn a_receipt_reports_once_when_the_table_is_in_force_everywhere() {
    check_random_orders(|| {
        let in_force = Arc::new(AtomicU64::new(0));
        let reports = Arc::new(AtomicU64::new(0));
        let (seen, reported) = (Arc::clone(&in_force), Arc::clone(&reports));
        let receipt = Receipt::new(move |result| {
            assert_eq!((result, seen.load(Ordering::SeqCst)), (Ok(()), 2));
            reported.fetch_add(1, Ordering::SeqCst);
        });
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let mailbox = Mailbox::new();
                mailbox.send(receipt.clone());
                let in_force = Arc::clone(&in_force);
                thread::spawn(move || {
                    for receipt in mailbox.take_all() {
                        in_force.fetch_add(1, Ordering::SeqCst);
                        drop(receipt);
                    }
                })
            })
            .collect();
        drop(receipt);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert_eq!(reports.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_receipt_reports_the_failure_of_any_worker() {
    check_random_orders(|| {
        let (sender, receiver) = shuttle::sync::mpsc::channel();
        let all = Receipt::all(vec![
            Receipt::new(move |result| sender.send(result).unwrap()),
            Receipt::none(),
        ]);
        let other = all.clone();
        let failing = thread::spawn(move || other.fail("no memory"));
        drop(all);
        failing.join().unwrap();
        assert_eq!(receiver.recv().unwrap(), Err("no memory".to_owned()));
    });
}

/// The status of an idle worker is not requested. After a change is confirmed, it is in the
/// status, or the status must be requested.
#[test]
fn a_current_status_has_the_acknowledged_change() {
    check_random_orders(|| {
        let (mailbox, status) = (Mailbox::new(), Status::<u64>::new());
        status.set_current(true);
        let acknowledged = Arc::new(AtomicBool::new(false));
        let (set_by_receipt, read) = (Arc::clone(&acknowledged), status.clone());
        mailbox.send(Receipt::new(move |_| set_by_receipt.store(true, Ordering::Release)));
        let worker = thread::spawn(move || {
            for receipt in mailbox.take_all() {
                status.set_current(false);
                drop(receipt);
                status.publish(|published| *published = 1);
                status.set_current(true);
            }
        });
        if acknowledged.load(Ordering::Acquire) && read.is_current() {
            assert_eq!(*read.read(), 1);
        }
        worker.join().unwrap();
        assert_eq!((read.is_current(), *read.read()), (true, 1));
    });
}

/// Metrics request the status, wait until the request is answered, and read it: the status that
/// they read is no older than their request.
#[test]
fn a_requested_status_is_no_older_than_the_request() {
    check_all_orders(|| {
        let status = Status::new();
        let counted = Arc::new(AtomicBool::new(false));
        let (reader, counts) = (status.clone(), Arc::clone(&counted));
        let worker = thread::spawn(move || {
            // The second time answers a request that arrived while the first one was answered.
            for _ in 0..2 {
                if status.is_requested() {
                    status.publish(|published| *published = counted.load(Ordering::Relaxed));
                }
            }
        });
        counts.store(true, Ordering::Relaxed);
        reader.request();
        if !reader.is_requested() {
            assert!(*reader.read(), "an old status");
        }
        worker.join().unwrap();
        if !reader.is_requested() {
            assert!(*reader.read(), "a status that was never published");
        }
    });
}

/// A table, a request for the status and the end arrive at the same time.
#[test]
fn the_status_has_the_last_table_after_the_end() {
    check_random_orders(|| {
        let (mailbox, status) = (Mailbox::new(), Status::new());
        let (sent, published) = (mailbox.clone(), status.clone());
        let worker = thread::spawn(move || run_worker(&mailbox, &status));
        let reader = published.clone();
        let metrics = thread::spawn(move || {
            reader.request();
            if reader.is_requested() { None } else { Some(*reader.read()) }
        });
        sent.send(Message::Table(1));
        sent.send(Message::End);
        worker.join().unwrap();
        assert!(metrics.join().unwrap().is_none_or(|table| table <= 1));
        assert_eq!(*published.read(), 1);
    });
}
