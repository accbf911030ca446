//! A persistent connection to the EC2 endpoint.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::endpoint::ENDPOINT;
use testkit::namespace::Namespace;

/// How long a response may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A client that sends all its requests on one connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

/// A new stream to the endpoint.
pub(crate) fn connect(host: &Namespace) -> TcpStream {
    let stream = host.inside(|| TcpStream::connect(ENDPOINT).unwrap());
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// The head of a request, without the length of its body and the final empty line.
pub(crate) fn head() -> String {
    let credential = "Credential=test/20261123/eu-west-1/ec2/aws4_request";
    format!(
        "POST / HTTP/1.1\r\nHost: {ENDPOINT}\r\n\
         Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\
         Authorization: AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0\r\n"
    )
}

/// A complete request.
pub(crate) fn request(parameters: &str) -> String {
    let body = format!("Version=2016-11-15&{parameters}");
    format!("{}Content-Length: {}\r\n\r\n{body}", head(), body.len())
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// Sends a call; returns status and document.
    pub(crate) fn call(&mut self, parameters: &str) -> (u16, String) {
        self.stream.get_mut().write_all(request(parameters).as_bytes()).unwrap();
        self.answer()
    }

    /// Sends a call that must succeed; returns its document.
    pub(crate) fn done(&mut self, parameters: &str) -> String {
        let (status, document) = self.call(parameters);
        assert_eq!(status, 200, "{parameters}: {document}");
        document
    }

    /// The next response.
    pub(crate) fn answer(&mut self) -> (u16, String) {
        let status = self.line().split(' ').nth(1).unwrap().parse().unwrap();
        let mut len = 0;
        loop {
            let line = self.line().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(text) = line.strip_prefix("content-length:") {
                len = text.trim().parse().unwrap();
            }
        }
        let mut document = vec![0; len];
        self.stream.read_exact(&mut document).unwrap();
        (status, String::from_utf8(document).unwrap())
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(
            self.stream.read_line(&mut line).unwrap(),
            0,
            "the endpoint closed the connection"
        );
        line.trim_end().to_owned()
    }
}
