//! moto's server and boto3, where they are installed.

use std::process::Command;

use testkit::{MotoServer, python};
use traffic_mirror::ec2::{Access, Credentials};

use crate::stack::Stack;

#[test]
fn boto3_uses_the_endpoint_and_moto_as_one() {
    let Some(moto) = MotoServer::start("boto3 with the endpoint in front of moto") else { return };
    let key = Credentials::one("AKIDEXAMPLE", "SECRETEXAMPLE", "000000000000");
    let stack = Stack::start(&moto.url(), Access::Keys(key));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/boto3_upstream.py");
    let run = Command::new(python())
        .arg(script)
        .env("EC2_ENDPOINT", format!("http://{}", stack.address()))
        .env("UPSTREAM", moto.url())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{text}");
}
