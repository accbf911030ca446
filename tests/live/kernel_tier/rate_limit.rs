//! Rate limits: copies above the limit are dropped as congestion, and counted.

use std::time::Duration;

use testkit::config::one_session;
use traffic_mirror::io::clock::Stopwatch;

use super::kernel_lab;
use crate::collector::Collector;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair};

/// Datagrams of the burst.
const SENT: u32 = 3_000;

/// The limit in copies per second.
const LIMIT: u64 = 100;

#[test]
fn copies_above_a_rate_limit_are_dropped_as_congestion() {
    for (test, place) in [("kt-rsess", "traffic_mirror_session"), ("kt-rtarg", "address")] {
        let Some(lab) = kernel_lab(test) else { return };
        let collector = Collector::listen(&lab.monitor, "10.99.1.2");
        let config = one_session("device = \"h0\"", "10.99.1.2", &["ingress"]);
        let limit = format!("rate_limit = \"{LIMIT}pps\"\n");
        let config = match place {
            "address" => config.replace("address = ", &format!("{limit}address = ")),
            _ => config + &limit,
        };
        let path = lab.put("mirror.toml", &config);
        let mirror = Mirror::start(&lab.host, &format!("--config {path} --tier kernel"));
        let pair = Pair::new(&lab, IPV4, (4_000, 2_000));
        let burst = Stopwatch::start();
        (0..SENT).for_each(|number| pair.send(number, 200));
        let elapsed = burst.elapsed() + Duration::from_secs(1);
        let ended = mirror.end();
        let (mirrored, dropped) = (ended.count("mirrored"), ended.sum_of("dropped"));
        assert_eq!(ended.report["dropped"]["congestion"], dropped, "{}", ended.report);
        assert_eq!(mirrored + dropped, u64::from(SENT), "{}", ended.report);
        assert_eq!(collector.end().len(), usize::try_from(mirrored).unwrap());
        let most = LIMIT * (elapsed.as_secs() + 1);
        assert!((1..=most).contains(&mirrored), "at most {most}: {}", ended.report);
    }
}
