//! An EC2 endpoint in memory, without compiled tables and a state file.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use traffic_mirror::control::Registry;
use traffic_mirror::control::account::{Account, Quotas, Record, TargetResolver};
use traffic_mirror::ec2::http::Request;
use traffic_mirror::ec2::{Endpoint, Persist, Publish, PublishedChange};
use traffic_mirror::model::{NetworkInterface, NetworkInterfaceId, Target, TargetId};

const SIGNED: &str =
    "AWS4-HMAC-SHA256 Credential=AK/20261123/eu-west-1/ec2/aws4_request, Signature=0";

struct NullBackend;

impl Persist for NullBackend {
    fn commit(&mut self, _: &[Record]) -> io::Result<()> {
        Ok(())
    }
}

impl Publish for NullBackend {
    fn publish(&mut self, _: &Registry, changes: Vec<PublishedChange>) {
        changes.into_iter().for_each(|change| (change.done)(Ok(())));
    }
}

/// An endpoint over 100 network interfaces, `eni-00000000` to `eni-00000099`, and the target
/// `tmt-file`, with quotas that are never reached.
pub fn endpoint() -> Endpoint {
    let mut registry = Registry::default();
    for number in 0..100 {
        let id = NetworkInterfaceId::new(&format!("eni-{number:08}")).unwrap();
        let mut interface = NetworkInterface::new(id);
        interface.device = Some(format!("eth{number}"));
        registry.add_network_interface(interface).unwrap();
    }
    let id = TargetId::new("tmt-file").unwrap();
    registry.add_target(Target::at(id, "192.0.2.1:4789".parse().unwrap())).unwrap();
    let mut quotas = Quotas::default();
    assert!(Quotas::NAMES.iter().all(|name| quotas.set(name, 1_000_000)));
    serve_account(Account::new(registry, quotas, TargetResolver::default(), random_number))
}

/// An endpoint where clients create network interfaces. It has one of a file, at 10.0.0.5.
pub fn virtual_endpoint() -> Endpoint {
    let mut registry = Registry::default();
    let id = NetworkInterfaceId::new("eni-0123456789abcdef0").unwrap();
    let mut interface = NetworkInterface::new(id);
    interface.private_ip_addresses = vec!["10.0.0.5".parse().unwrap()];
    registry.add_network_interface(interface).unwrap();
    let resolver = TargetResolver::default();
    let mut account = Account::new(registry, Quotas::default(), resolver, random_number);
    account.use_virtual_interfaces();
    serve_account(account)
}

fn serve_account(account: Account) -> Endpoint {
    let account = Arc::new(RwLock::new(account));
    Endpoint::new(account, NullBackend, NullBackend, || 1_700_000_000, random_number).unwrap()
}

/// Numbers that look random and do not repeat.
fn random_number() -> u128 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    u128::from(NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The response of the endpoint to a form, to which the version of EC2 is added.
pub fn send(endpoint: &Endpoint, form: &str) -> (u16, String) {
    let head = Request::post("/").header("authorization", SIGNED).body(()).unwrap();
    endpoint.respond(&head.into_parts().0, format!("Version=2016-11-15&{form}").as_bytes())
}
