//! moto's server and boto3, where they are installed.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use testkit::print_uncaptured;
use traffic_mirror::ec2::{Access, Credentials};

use crate::stack::{Stack, wait_until};

/// Where moto's server is looked for, besides PATH.
const MOTO_SERVER: &str = "MOTO_SERVER";

/// moto's server, which ends when this is dropped.
struct MotoServer(Child);

impl Drop for MotoServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program and the Python interpreter beside it, or that of PATH.
fn installed() -> Option<(String, String)> {
    let named = std::env::var(MOTO_SERVER).unwrap_or_else(|_| "moto_server".to_owned());
    let runs = Command::new(&named).arg("--help").output();
    if !runs.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let beside = Path::new(&named).with_file_name("python3");
    let python = if beside.is_file() { beside } else { "python3".into() };
    let has_boto3 = Command::new(&python).args(["-c", "import boto3"]).output();
    let has_boto3 = has_boto3.is_ok_and(|output| output.status.success());
    has_boto3.then(|| (named, python.display().to_string()))
}

#[test]
fn boto3_uses_the_endpoint_and_moto_as_one() {
    let Some((program, python)) = installed() else {
        return print_uncaptured(
            "NOT RUN: the endpoint in front of moto needs moto_server (in PATH or MOTO_SERVER) \
             and boto3\n",
        );
    };
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let port = address.port().to_string();
    let moto = Command::new(program)
        .args(["-p", &port])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _moto = MotoServer(moto.unwrap());
    wait_until(|| TcpStream::connect(address).is_ok());
    let key = Credentials::one("AKIDEXAMPLE", "SECRETEXAMPLE", "000000000000");
    let stack = Stack::start(&format!("http://{address}"), Access::Keys(key));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/boto3_upstream.py");
    let run = Command::new(python)
        .arg(script)
        .env("EC2_ENDPOINT", format!("http://{}", stack.address()))
        .env("UPSTREAM", format!("http://{address}"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{text}");
}
