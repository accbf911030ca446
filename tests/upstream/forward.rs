//! Requests that are forwarded, and the account id of the emulator.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use traffic_mirror::ec2::Access;

use crate::emulator::Emulator;
use crate::stack::{Stack, endpoint};

#[test]
fn requests_of_other_services_and_their_responses_pass_unchanged() {
    let (stack, emulator) = Stack::with_emulator();
    let headers = [("content-type", "text/x"), ("x-amz-meta-b", "2"), ("expect", "100-continue")];
    let line = "PUT /bucket/a%20b?acl&x=%2F HTTP/1.1";
    let response = stack.request(line, "s3", &headers[..2], "a\r\n&body");
    assert_eq!((response.status, &*response.body), (200, &*format!("of {line}")));
    assert!(response.head.contains("etag: \"abc\""), "{}", response.head);
    assert!(!response.head.contains("keep-alive"), "{}", response.head);
    let received = &emulator.received("/bucket/")[0];
    assert_eq!((received.line.trim_end(), &*received.text()), (line, "a\r\n&body"));
    assert_eq!(received.header("host"), Some("localhost"));
    assert_eq!(received.header("x-amz-meta-b"), Some("2"));
    assert!(received.header("authorization").unwrap().contains("AKID/20261123/eu-west-1/s3/"));
    let missing = stack.request("GET /missing HTTP/1.1", "s3", &[], "");
    assert_eq!((missing.status, &*missing.body), (404, "of GET /missing HTTP/1.1"));
    let target = [("x-amz-target", "DynamoDB_20120810.ListTables")];
    assert_eq!(stack.request("POST / HTTP/1.1", "dynamodb", &target, "{}").status, 200);
    assert_eq!(emulator.received("{}")[0].header("x-amz-target"), Some(target[0].1));
}

#[test]
fn a_response_to_head_keeps_its_length() {
    let (stack, _emulator) = Stack::with_emulator();
    let response = stack.request("HEAD /bucket/key HTTP/1.1", "s3", &[], "");
    let len = "of HEAD /bucket/key HTTP/1.1".len();
    assert!(response.head.contains(&format!("content-length: {len}")), "{}", response.head);
    assert_eq!((response.status, &*response.body), (200, ""));
}

#[test]
fn actions_of_ec2_are_forwarded_unless_they_are_for_traffic_mirroring() {
    let (stack, emulator) = Stack::with_emulator();
    let form = "Version=2016-11-15&Action=CreateVpc&CidrBlock=10.0.0.0%2F16&Name=a+b";
    assert_eq!(stack.post("ec2", form).one("return"), "true");
    assert_eq!(emulator.received("CreateVpc")[0].text(), form);
    stack.create_filter();
    assert_eq!(stack.create_session("eni-00000001", 1).status, 200);
    let unknown = stack.send("Action=StartTrafficMirrorSession");
    assert_eq!((unknown.status, unknown.one("Code")), (400, "InvalidAction"));
    assert_eq!(emulator.received("TrafficMirror").len(), 0);
    let by_get = "GET /?Action=DeleteVpc&Version=2016-11-15 HTTP/1.1";
    let refused = stack.request(by_get, "ec2", &[], "");
    assert_eq!((refused.status, emulator.received("DeleteVpc").len()), (405, 0));
}

#[test]
fn requests_without_a_signature_are_not_forwarded() {
    let (stack, emulator) = Stack::with_emulator();
    let send = |line: &str| send_bare(TcpStream::connect(stack.address()).unwrap(), line);
    let refused = send("GET /bucket/x HTTP/1.1");
    assert!(refused.contains("MissingAuthenticationToken"), "{refused}");
    assert_eq!(emulator.received("/bucket/x").len(), 0);
    // Signature version 2, which presigned URLs of S3 can have.
    let answered = send("GET /bucket/y?AWSAccessKeyId=AK&Signature=0&Expires=1 HTTP/1.1");
    assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
    assert_eq!(emulator.received("/bucket/y").len(), 1);
}

fn send_bare(mut stream: TcpStream, line: &str) -> String {
    write!(stream, "{line}\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_account_id_of_the_emulator_is_used_for_own_resources() {
    let (stack, _emulator) = Stack::with_emulator();
    let identity = stack.post("sts", "Version=2011-06-15&Action=GetCallerIdentity");
    assert_eq!(identity.one("Account"), "123456789012");
    let created = stack.create_session("eni-00000001", 1);
    assert_eq!(created.one("ownerId"), "123456789012");
    for (owner, count) in [("123456789012", 1), ("000000000000", 0)] {
        let described = stack.send(&format!(
            "Action=DescribeTrafficMirrorSessions&Filter.1.Name=owner-id&Filter.1.Value.1={owner}"
        ));
        assert_eq!(described.all("trafficMirrorSessionId").len(), count, "{owner}");
    }
    let interfaces = stack.send("Action=DescribeNetworkInterfaces");
    assert_eq!(interfaces.one("ownerId"), "123456789012");
}

#[test]
fn own_actions_work_while_the_emulator_is_down() {
    let stack = Stack::without_emulator();
    assert_eq!(stack.create_session("eni-00000001", 1).one("ownerId"), "000000000000");
    assert_eq!(stack.sessions().len(), 1);
    let identity = stack.post("sts", "Version=2011-06-15&Action=GetCallerIdentity");
    assert_eq!(identity.one("Account"), "000000000000");
    let own = stack.send("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1=eni-00000001");
    assert_eq!(own.one("networkInterfaceId"), "eni-00000001");
    for action in ["DescribeInstances", "RunInstances", "DescribeTags", "DescribeNetworkInterfaces"]
    {
        let refused = stack.send(&format!("Action={action}"));
        assert_eq!((refused.status, refused.one("Code")), (424, "UpstreamUnavailable"));
        let message = refused.one("Message");
        assert!(message.starts_with(&format!("{action} needs the emulator")), "{message}");
        assert!(message.contains("http://127.0.0.1:"), "{message}");
        assert!(message.contains("refused"), "{message}");
    }
    let unknown = stack.create_session("eni-0123456789abcdef0", 1);
    assert_eq!((unknown.status, unknown.one("Code")), (424, "UpstreamUnavailable"));
    let s3 = stack.request("GET /bucket HTTP/1.1", "s3", &[], "");
    assert_eq!((s3.status, s3.one("Code")), (424, "UpstreamUnavailable"));
    let target = [("x-amz-target", "DynamoDB_20120810.ListTables")];
    let json = stack.request("POST / HTTP/1.1", "dynamodb", &target, "{}");
    assert!(json.status == 424 && json.body.starts_with('{'), "{}", json.body);
}

#[test]
fn own_actions_work_while_the_emulator_does_not_answer() {
    // Nobody accepts the connections.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let stack = Stack::start(&url, Access::default());
    assert_eq!(stack.sessions(), [""; 0]);
}

#[test]
fn learning_by_name_tells_an_absent_interface_from_an_absent_emulator() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_, down) = endpoint(&format!("http://{free}"), Access::default());
    let id = "eni-0123456789abcdef0";
    for name in [id, "10.0.0.5", "i-1"] {
        let failed = runtime.block_on(down.learn_interface(name)).unwrap_err();
        assert!(failed.contains("is down"), "{name}: {failed}");
    }
    let emulator = Emulator::start();
    let (_, up) = endpoint(&emulator.url(), Access::default());
    assert_eq!(runtime.block_on(up.learn_interface(id)), Ok(None));
    emulator.add_interface(id, "10.0.0.5", None);
    let learned = runtime.block_on(up.learn_interface(id)).unwrap();
    assert_eq!(learned.unwrap().as_str(), id);
}

#[test]
fn an_answer_above_the_limit_does_not_mean_that_the_emulator_is_down() {
    let (stack, _emulator) = Stack::with_emulator();
    let refused = stack.request("GET /bucket/too-long HTTP/1.1", "s3", &[], "");
    assert_eq!((refused.status, refused.one("Code")), (424, "UpstreamUnavailable"));
    let message = refused.one("Message");
    assert!(message.ends_with("exceeds the limit of 64 MiB."), "{message}");
}
