//! Many clients of the endpoint at once, some of them hostile. Valid requests succeed, and no copy
//! is lost meanwhile.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::attacks;
use crate::collector::Collector;
use crate::connection::{Connection, connect};
use crate::endpoint::{Client, start, text};
use crate::lab::Lab;
use crate::traffic::{IPV4, Pair, number_of, numbered};
use crate::waiting::pause;

const CLIENTS: u32 = 64;

/// How often each client creates and deletes a filter.
const ROUNDS: u32 = 5;

const RULES: u32 = 4;

/// Number of frames that are sent before they are received.
const BURST: u32 = 32;

/// How much more memory the program may use because of hostile clients, in KiB.
const SLACK_KIB: u64 = 64 << 10;

/// A valid client, from its first filter to its last.
struct WellBehavedClient {
    connection: Connection,
    number: u32,
}

impl WellBehavedClient {
    fn work(&mut self) {
        (0..ROUNDS).for_each(|round| self.round(round));
    }

    fn round(&mut self, round: u32) {
        let name = format!("client-{}-{round}", self.number);
        let made = self.done(&format!("CreateTrafficMirrorFilter&Description={name}"));
        let filter = text(&made, "trafficMirrorFilterId");
        let rules: Vec<String> = (1..=RULES).map(|rule| self.rule(&filter, rule)).collect();
        let change = format!(
            "ModifyTrafficMirrorFilterRule&TrafficMirrorFilterRuleId={}&RuleNumber=99",
            rules[0]
        );
        self.done(&change);
        let expected: Vec<String> = (2..=RULES).chain([99]).map(|rule| rule.to_string()).collect();
        assert_eq!(self.numbers(&filter), (expected, name));
        let delete =
            format!("DeleteTrafficMirrorFilterRule&TrafficMirrorFilterRuleId={}", rules[1]);
        self.done(&delete);
        let expected: Vec<String> = (3..=RULES).chain([99]).map(|rule| rule.to_string()).collect();
        assert_eq!(self.numbers(&filter).0, expected);
        self.done(&format!("DeleteTrafficMirrorFilter&TrafficMirrorFilterId={filter}"));
        let describe =
            format!("Action=DescribeTrafficMirrorFilters&TrafficMirrorFilterId.1={filter}");
        let (status, document) = self.connection.call(&describe);
        assert_eq!(status, 400, "{document}");
        assert_eq!(text(&document, "Code"), "InvalidTrafficMirrorFilterId.NotFound");
    }

    fn rule(&mut self, filter: &str, number: u32) -> String {
        let made = self.done(&format!(
            "CreateTrafficMirrorFilterRule&TrafficMirrorFilterId={filter}\
             &TrafficDirection=ingress&RuleNumber={number}&RuleAction=accept\
             &SourceCidrBlock=10.{}.0.0/16&DestinationCidrBlock=0.0.0.0/0",
            self.number
        ));
        text(&made, "trafficMirrorFilterRuleId")
    }

    /// The numbers of a filter's rules, and its description.
    fn numbers(&mut self, filter: &str) -> (Vec<String>, String) {
        let found =
            self.done(&format!("DescribeTrafficMirrorFilters&TrafficMirrorFilterId.1={filter}"));
        let rules = found.split("<ruleNumber>").skip(1);
        let numbers = rules.map(|rest| rest.split('<').next().unwrap().to_owned()).collect();
        let block = format!("<sourceCidrBlock>10.{}.0.0/16<", self.number);
        let (rules, own) = (found.matches("<ruleNumber>"), found.matches(&block));
        assert_eq!(rules.count(), own.count(), "{found}");
        (numbers, text(&found, "description"))
    }

    fn done(&mut self, action: &str) -> String {
        self.connection.done(&format!("Action={action}"))
    }
}

/// Sends while clients are busy. Returns the number of frames.
fn send_while(pair: &Pair, is_busy: impl Fn() -> bool) -> u32 {
    let mut sent = 0;
    let mut buffer = [0; 2_048];
    while is_busy() {
        for number in sent..sent + BURST {
            pair.generator.send(&numbered(number, 100)).unwrap();
        }
        for number in sent..sent + BURST {
            pair.host.recv(&mut buffer).unwrap();
            assert_eq!(buffer[..4], number.to_be_bytes());
        }
        sent += BURST;
        pause(1);
    }
    sent
}

#[test]
fn well_behaved_clients_succeed_beside_hostile_ones_without_frame_loss() {
    let Some(lab) = Lab::new("crowd") else { return };
    let mirror = start(&lab, &lab.folder.path().join("state"));
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    Client { host: &lab.host }.session(42);
    let before = mirror.status_kib("VmRSS");
    let (busy, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let sent = thread::scope(|scope| {
        let end_of_attacks = SetOnDrop(&is_over);
        for attack in attacks::ATTACKS.iter().cycle().take(4 * attacks::ATTACKS.len()) {
            scope.spawn(|| attacks::repeat(&lab.host, attack, &is_over));
        }
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let connection = Connection::new(connect(&lab.host));
                busy.fetch_add(1, Ordering::AcqRel);
                let busy = DecrementOnDrop(&busy);
                scope.spawn(move || {
                    let _busy = busy;
                    WellBehavedClient { connection, number }.work();
                })
            })
            .collect();
        let sent = send_while(&pair, || busy.load(Ordering::Acquire) > 0);
        drop(end_of_attacks);
        clients.into_iter().for_each(|client| client.join().unwrap());
        sent
    });
    let copies = collector.take_after(usize::try_from(sent).unwrap());
    let mut numbers: Vec<u32> = copies.iter().map(|one| number_of(&one.inner)).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..sent), "{sent} frames and {} copies", copies.len());
    let most = mirror.status_kib("VmHWM");
    assert!(most < before + SLACK_KIB, "{before} KiB before the clients, then {most} KiB");
    let mut last = Connection::new(connect(&lab.host));
    let left = last.done("Action=DescribeTrafficMirrorFilters");
    assert_eq!(left.matches("<description>").count(), 0, "{left}");
    assert_eq!(left.matches("<ingressFilterRuleSet>").count(), 1, "{left}");
    mirror.end().assert_no_loss();
}

/// Decrements the counter when it is dropped, even by a panic.
struct DecrementOnDrop<'a>(&'a AtomicUsize);

impl Drop for DecrementOnDrop<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Ends the hostile clients when it is dropped, even by a panic.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
