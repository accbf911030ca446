//! A small HTTP client of the laboratory, which also reads responses that do not end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The response to a request.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Sends a request for a path below `/_traffic-mirror/v1/`. `headers` end with a line break each.
pub fn send(address: SocketAddr, line: &str, headers: &str, body: &[u8]) -> Reply {
    let mut stream = connect(address, line, headers, body);
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let headers = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, headers, body: bytes[end + 4..].to_vec() }
}

/// Sends the request and returns the connection.
pub fn connect(
    address: SocketAddr,
    line: &str,
    headers: &str,
    body: &[u8],
) -> BufReader<TcpStream> {
    let (method, path) = line.split_once(' ').unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "{method} /_traffic-mirror/v1/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    BufReader::new(stream)
}

/// Reads the next line of a stream that starts with `prefix`.
pub fn next_line(stream: &mut BufReader<TcpStream>, prefix: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the stream ended before `{prefix}`");
        if line.starts_with(prefix) {
            return line;
        }
    }
}
