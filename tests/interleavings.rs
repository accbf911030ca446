//! Runs mailbox, table swap, board and stop of the live workers through interleavings of their
//! threads: shuttle lets one thread at a time take one step, in an order that it chooses.
//!
//! The source file is the one that the program is made of; only its primitives are shuttle's. Small
//! cases run through all orders, those in which a thread waits through many random ones.

#![expect(clippy::unwrap_used, reason = "a thread that fails ends the test")]

#[path = "../src/cli/run/mailbox.rs"]
mod mailbox;

/// What `src/cli/run/sync.rs` takes from the standard library.
mod sync {
    pub(super) use std::sync::PoisonError;

    pub(super) use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    pub(super) use shuttle::sync::{Arc, Mutex, MutexGuard};
}

use shuttle::{check_dfs, check_random, thread};

use mailbox::{Board, Mailbox};
use sync::{Arc, AtomicBool, AtomicU64, Ordering};

/// What a worker is sent: the number of a table, or the end.
#[derive(Debug, PartialEq, Eq)]
enum Message {
    Table(u64),
    End,
}

/// Random orders of a case in which a thread waits; an error names the seed that repeats it.
const RANDOM_ORDERS: usize = 20_000;

/// Runs through all orders.
fn all_orders(of: impl Fn() + Send + Sync + 'static) {
    check_dfs(of, None);
}

/// Runs through many orders.
fn many_orders(of: impl Fn() + Send + Sync + 'static) {
    check_random(of, RANDOM_ORDERS);
}

/// The loop of a worker: it opens its mailbox, follows what is in it, and writes its board when it
/// is asked to and at its end. Which tables it had.
fn work(mailbox: &Mailbox<Message>, board: &Board<u64>) -> Vec<u64> {
    let mut tables = vec![0];
    let mut is_ending = false;
    while !is_ending {
        let messages = mailbox.open();
        let is_idle = messages.is_empty();
        for message in messages {
            match message {
                Message::Table(number) => tables.push(number),
                Message::End => is_ending = true,
            }
            mailbox.is_obeyed();
        }
        if is_ending || board.is_asked() {
            board.show(|shown| *shown = tables.last().copied().unwrap());
        } else if is_idle {
            thread::yield_now();
        }
    }
    tables
}

#[test]
fn no_message_is_lost_and_none_overtakes_another() {
    many_orders(|| {
        let (mailbox, board) = (Mailbox::new(), Board::new());
        let (sent, shown) = (mailbox.clone(), board.clone());
        let worker = thread::spawn(move || work(&mailbox, &board));
        sent.send(Message::Table(1));
        sent.send(Message::Table(2));
        sent.send(Message::End);
        assert_eq!(worker.join().unwrap(), [0, 1, 2]);
        assert!(sent.is_up_to_date());
        assert_eq!(*shown.shown(), 2);
    });
}

#[test]
fn messages_of_two_senders_all_arrive() {
    many_orders(|| {
        let mailbox = Mailbox::new();
        let (first, second) = (mailbox.clone(), mailbox.clone());
        let senders =
            [thread::spawn(move || first.send(1_u64)), thread::spawn(move || second.send(2))];
        let mut taken = mailbox.open();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        taken.extend(mailbox.open());
        taken.sort_unstable();
        assert_eq!(taken, [1, 2]);
    });
}

/// A change over the API is answered when the mailbox is up to date: the table is then in force,
/// and what the worker did before is seen.
#[test]
fn an_up_to_date_mailbox_means_that_the_table_is_in_force() {
    many_orders(|| {
        let mailbox = Mailbox::new();
        let in_force = Arc::new(AtomicU64::new(0));
        let (sent, seen) = (mailbox.clone(), Arc::clone(&in_force));
        let worker = thread::spawn(move || {
            while in_force.load(Ordering::Relaxed) < 2 {
                for number in mailbox.open() {
                    in_force.store(number, Ordering::Relaxed);
                    mailbox.is_obeyed();
                }
                thread::yield_now();
            }
        });
        for number in [1, 2] {
            sent.send(number);
            while !sent.is_up_to_date() {
                thread::yield_now();
            }
            assert_eq!(seen.load(Ordering::Relaxed), number);
        }
        worker.join().unwrap();
    });
}

/// Metrics ask for the board, wait until the request is gone, and read: what they read is no older
/// than their request.
#[test]
fn a_board_that_was_asked_for_is_no_older_than_the_request() {
    all_orders(|| {
        let board = Board::new();
        let counted = Arc::new(AtomicBool::new(false));
        let (asked, counts) = (board.clone(), Arc::clone(&counted));
        let worker = thread::spawn(move || {
            // The second time answers a request that came while the first one was answered.
            for _ in 0..2 {
                if board.is_asked() {
                    board.show(|shown| *shown = counted.load(Ordering::Relaxed));
                }
            }
        });
        counts.store(true, Ordering::Relaxed);
        asked.ask();
        if !asked.is_asked() {
            assert!(*asked.shown(), "an old board");
        }
        worker.join().unwrap();
        if !asked.is_asked() {
            assert!(*asked.shown(), "a board that was never written");
        }
    });
}

/// A table, a request for the board and the end at the same time.
#[test]
fn the_end_leaves_the_last_table_on_the_board() {
    many_orders(|| {
        let (mailbox, board) = (Mailbox::new(), Board::new());
        let (sent, shown) = (mailbox.clone(), board.clone());
        let worker = thread::spawn(move || work(&mailbox, &board));
        let asking = shown.clone();
        let metrics = thread::spawn(move || {
            asking.ask();
            if asking.is_asked() { None } else { Some(*asking.shown()) }
        });
        sent.send(Message::Table(1));
        sent.send(Message::End);
        worker.join().unwrap();
        assert!(metrics.join().unwrap().is_none_or(|table| table <= 1));
        assert_eq!(*shown.shown(), 1);
        assert!(sent.is_up_to_date());
    });
}
