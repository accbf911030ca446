//! moto's server, an emulator of AWS in Python, where it is installed.

use std::io::{BufRead, BufReader, copy, sink};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;

use crate::print_uncaptured;

/// A file to start instead of the `moto_server` of PATH.
const MOTO_SERVER: &str = "MOTO_SERVER";

/// moto's server on a free port of loopback. It ends when this is dropped.
#[derive(Debug)]
pub struct MotoServer {
    pub address: SocketAddr,
    child: Child,
}

impl MotoServer {
    /// Starts the server. Prints that `test` does not run if the server or boto3 is not installed.
    pub fn start(test: &str) -> Option<Self> {
        let named = std::env::var(MOTO_SERVER).unwrap_or_else(|_| "moto_server".to_owned());
        let started = has_boto3()
            .then(|| {
                Self::spawn(Command::new(named)).or_else(|| {
                    let mut module = Command::new(python());
                    module.args(["-m", "moto.server"]);
                    Self::spawn(module)
                })
            })
            .flatten();
        if started.is_none() {
            print_uncaptured(&format!(
                "NOT RUN: {test} needs moto's server and boto3: pip install boto3 'moto[server]'\n"
            ));
        }
        started
    }

    /// Waits until the server prints its address. None if it ends before.
    fn spawn(mut command: Command) -> Option<Self> {
        let command = command.args(["-p", "0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().ok()?;
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let Some(address) = printed_address(&mut log) else {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        };
        // The server writes a line for each request and stops if nobody reads them.
        thread::spawn(move || copy(&mut log, &mut sink()));
        Some(Self { address, child })
    }

    /// The URL of the server.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for MotoServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in a line such as `* Running on http://127.0.0.1:5000`.
fn printed_address(log: &mut BufReader<ChildStderr>) -> Option<SocketAddr> {
    loop {
        let mut line = String::new();
        if log.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some((_, address)) = line.split_once("Running on http://") {
            return address.trim().parse().ok();
        }
    }
}

/// The Python interpreter beside [`MOTO_SERVER`], or that of PATH.
pub fn python() -> String {
    let named = std::env::var(MOTO_SERVER).unwrap_or_default();
    let beside = Path::new(&named).with_file_name("python3");
    if named.contains('/') && beside.is_file() {
        return beside.display().to_string();
    }
    "python3".to_owned()
}

/// Whether the interpreter of [`python`] has boto3.
pub fn has_boto3() -> bool {
    let run = Command::new(python()).args(["-c", "import boto3"]).output();
    run.is_ok_and(|output| output.status.success())
}
