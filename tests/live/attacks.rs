//! Hostile clients: slow ones, endless requests, clients that do not read, invalid input.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::connection::{Connection, connect, head, request};
use crate::endpoint::start;
use crate::lab::Lab;
use crate::waiting::pause;
use testkit::namespace::Namespace;

/// The length in bytes of a body that is too long.
const HUGE: usize = 100_000_000;

/// How many bytes of a request that is too long the endpoint may read before it closes the
/// connection, including the buffers of the kernel at both ends.
const MAX_ACCEPTED_BYTES: usize = 16 << 20;

/// A repeated attack; it ends when the endpoint closes the connection or the test ends.
pub(crate) type Attack = fn(TcpStream, &AtomicBool);

pub(crate) const ATTACKS: &[Attack] = &[
    send_head_slowly,
    send_body_slowly,
    send_no_body,
    flood_body,
    flood_chunks,
    flood_headers,
    send_garbage,
    never_read,
    reset_after_request,
];

/// Attacks from new connections until the test ends.
pub(crate) fn repeat(host: &Namespace, attack: &Attack, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Acquire) {
        let stream = connect(host);
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        attack(stream, is_over);
        pause(20);
    }
}

/// Sends one byte per second until that fails.
fn send_slowly(mut stream: TcpStream, text: &str, is_over: &AtomicBool) {
    for byte in text.bytes() {
        if stream.write_all(&[byte]).is_err() {
            return;
        }
        for _ in 0..20 {
            if is_over.load(Ordering::Acquire) {
                return;
            }
            pause(50);
        }
    }
}

fn send_head_slowly(stream: TcpStream, is_over: &AtomicBool) {
    send_slowly(stream, &request("Action=DescribeTags"), is_over);
}

fn send_body_slowly(mut stream: TcpStream, is_over: &AtomicBool) {
    stream.write_all(format!("{}Content-Length: 1000\r\n\r\n", head()).as_bytes()).unwrap();
    send_slowly(stream, &"a".repeat(1_000), is_over);
}

/// Announces a long body and sends nothing.
fn send_no_body(mut stream: TcpStream, is_over: &AtomicBool) {
    stream.write_all(format!("{}Content-Length: {HUGE}\r\n\r\n", head()).as_bytes()).unwrap();
    wait_for_close(stream, is_over);
}

/// Reads until the endpoint closes the connection.
fn wait_for_close(mut stream: TcpStream, is_over: &AtomicBool) {
    let mut buffer = [0; 4_096];
    while !is_over.load(Ordering::Acquire) {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}

/// Sends `beginning` once and `part` repeatedly. The endpoint must close the connection before
/// `MAX_ACCEPTED_BYTES`.
fn flood(mut stream: TcpStream, beginning: &str, part: &str) {
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut sent = 0;
    let mut next = beginning;
    let error = loop {
        if let Err(error) = stream.write_all(next.as_bytes()) {
            break error.kind();
        }
        sent += next.len();
        assert!(sent < MAX_ACCEPTED_BYTES, "the endpoint accepted {sent} bytes");
        next = part;
    };
    assert!(matches!(error, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
}

fn flood_body(stream: TcpStream, _: &AtomicBool) {
    flood(stream, &format!("{}Content-Length: {HUGE}\r\n\r\n", head()), &"a".repeat(64 << 10));
}

fn flood_chunks(stream: TcpStream, _: &AtomicBool) {
    let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
    flood(stream, &format!("{}Transfer-Encoding: chunked\r\n\r\n", head()), &chunk);
}

fn flood_headers(stream: TcpStream, _: &AtomicBool) {
    flood(stream, &head(), &"X-Again: and again\r\n".repeat(100));
}

/// A request, followed by invalid bytes: it is answered, then the connection is closed.
fn send_garbage(mut stream: TcpStream, is_over: &AtomicBool) {
    let mut bytes = request("Action=DescribeTags").into_bytes();
    bytes.extend([0, 255, 13, 10].into_iter().cycle().take(5_000));
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&bytes).unwrap();
    let mut connection = Connection::new(stream.try_clone().unwrap());
    assert_eq!(connection.answer().0, 200);
    wait_for_close(stream, is_over);
}

/// Sends requests and never reads a response.
fn never_read(mut stream: TcpStream, is_over: &AtomicBool) {
    let requests = request("Action=DescribeNetworkInterfaces").repeat(10);
    while !is_over.load(Ordering::Acquire) {
        match stream.write_all(requests.as_bytes()) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}

/// Sends a request and closes the connection.
fn reset_after_request(mut stream: TcpStream, _: &AtomicBool) {
    stream.write_all(request("Action=DescribeTrafficMirrorFilters").as_bytes()).unwrap();
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// The time limit in steps of 100 ms: 45 s, longer than the time-out of 30 s.
const STEPS: u32 = 450;

/// Asserts that the endpoint closes the connection of each attack in time.
fn assert_are_disconnected(test: &str, attacks: &[Attack]) {
    let Some(lab) = Lab::new(test) else { return };
    let mirror = start(&lab, &lab.folder.path().join("state"));
    let is_over = AtomicBool::new(false);
    let left = thread::scope(|scope| {
        let start_client = |attack: Attack| {
            let stream = connect(&lab.host);
            stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
            let is_over = &is_over;
            scope.spawn(move || attack(stream, is_over))
        };
        let clients: Vec<_> = attacks.iter().map(|attack| start_client(*attack)).collect();
        for _ in 0..STEPS {
            pause(100);
            if clients.iter().all(|client| client.is_finished()) {
                break;
            }
        }
        let left = clients.iter().map(|client| !client.is_finished()).collect::<Vec<_>>();
        is_over.store(true, Ordering::Release);
        left
    });
    assert!(!left.contains(&true), "connections that are still open: {left:?}");
    mirror.end().assert_no_loss();
}

#[test]
fn slow_and_silent_clients_are_disconnected() {
    assert_are_disconnected(
        "slow",
        &[send_head_slowly, send_body_slowly, send_no_body, wait_for_close],
    );
}

#[test]
fn clients_that_never_read_are_disconnected() {
    assert_are_disconnected("deaf", &[never_read]);
}
