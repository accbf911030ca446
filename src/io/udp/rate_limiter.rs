//! Rate limits of sessions and targets, as token buckets.
//!
//! A bucket holds 10 ms of its rate and is stored as the time at which it will be full again.
//! Example: at 1,000 packets/s a copy costs 1 ms. Starting at time 0 with a full bucket, 11 copies
//! may leave at once; the bucket is then full at 11 ms. The next copy may leave at 1 ms, when that
//! time is only 10 ms ahead.

use super::outgoing::{OutgoingCopy, SessionEgress};
use crate::model::Rate;

/// The depth of a bucket in ns of its rate.
const BURST_NS: u64 = 10_000_000;

/// Length of the Ethernet, IP, UDP and VXLAN headers of a copy over IPv4 and over IPv6, in bytes.
const OUTER_LEN: [usize; 2] = [50, 70];

/// A token bucket, stored as the time at which it will be full again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TokenBucket {
    rate: Rate,
    full_ns: u64,
}

/// The buckets, by index of the session and of the target in the mirror table.
#[derive(Debug, Default)]
pub(super) struct RateLimiter {
    sessions: Vec<Option<TokenBucket>>,
    targets: Vec<Option<TokenBucket>>,
}

impl RateLimiter {
    /// Whether a copy of a session with limits may leave now; if so, its cost is charged.
    pub(super) fn admit(
        &mut self,
        session_egress: &SessionEgress,
        outgoing: &OutgoingCopy<'_>,
        now_ns: u64,
    ) -> bool {
        let [v4, v6] = OUTER_LEN;
        let outer_len = if session_egress.path_key.destination.is_ipv4() { v4 } else { v6 };
        let outer_len = outer_len + session_egress.path_key.geneve_len();
        let bits = u64::try_from((outer_len + outgoing.inner.len()) * 8).unwrap_or(u64::MAX);
        let [session_rate, target_rate] = session_egress.limits;
        let session = bucket(&mut self.sessions, outgoing.session.get(), session_rate);
        let target = bucket(&mut self.targets, session_egress.path_key.target.get(), target_rate);
        let mut both = [session, target];
        let admitted = both.iter().flatten().all(|bucket| bucket.has_tokens(now_ns));
        if admitted {
            both.iter_mut().flatten().for_each(|bucket| bucket.consume(bits, now_ns));
        }
        admitted
    }
}

impl TokenBucket {
    const fn has_tokens(&self, now_ns: u64) -> bool {
        self.full_ns <= now_ns.saturating_add(BURST_NS)
    }

    fn consume(&mut self, bits: u64, now_ns: u64) {
        let cost_ns = self.rate.duration_ns(1, bits);
        self.full_ns = self.full_ns.max(now_ns).saturating_add(cost_ns);
    }
}

/// The bucket at `index`; replaced by a new one if the rate has changed.
fn bucket(
    buckets: &mut Vec<Option<TokenBucket>>,
    index: usize,
    rate: Option<Rate>,
) -> Option<&mut TokenBucket> {
    let rate = rate?;
    if buckets.len() <= index {
        buckets.resize(index.checked_add(1)?, None);
    }
    let slot = buckets.get_mut(index)?;
    if slot.is_none_or(|bucket| bucket.rate != rate) {
        *slot = Some(TokenBucket { rate, full_ns: 0 });
    }
    slot.as_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataplane::{InnerBytes, SessionIndex, TargetIndex};
    use crate::io::udp::outgoing::PathKey;

    const COPY: OutgoingCopy<'static> = OutgoingCopy {
        session: SessionIndex::new(1),
        flow_hash: 0,
        flow_tag: 0,
        destination: 0,
        inner: InnerBytes { head: &[0; 75], tail: &[] },
    };

    fn session_egress(limits: [Option<Rate>; 2]) -> SessionEgress {
        let destination = "192.0.2.1:4789".parse().unwrap();
        let source = "192.0.2.2".parse().unwrap();
        SessionEgress {
            path_key: PathKey {
                target: TargetIndex::new(2),
                destination,
                source,
                is_in_geneve: false,
            },
            limits,
        }
    }

    #[test]
    fn no_more_is_sent_than_rate_plus_bucket_depth() {
        for (limits, a_second) in [
            ([Some("1000pps"), None], 1_000),
            ([None, Some("1Mbps")], 1_000),
            ([Some("1000pps"), Some("500kbps")], 500),
        ] {
            let session_egress =
                session_egress(limits.map(|limit| limit.map(|text| text.parse().unwrap())));
            let mut admitted = 0;
            let mut buckets = RateLimiter::default();
            // One copy per ten microseconds, for one second.
            for now in 0..100_000 {
                admitted +=
                    u64::from(buckets.admit(&session_egress, &COPY, 7_000_000_000 + now * 10_000));
            }
            let max_admitted = a_second + a_second / 100 + 1;
            assert!((a_second..=max_admitted).contains(&admitted), "{limits:?}: {admitted}");
        }
    }

    #[test]
    fn a_rate_below_one_per_second_admits_the_first_packet() {
        let session_egress = session_egress([Some("0.5pps".parse().unwrap()), None]);
        let mut limits = RateLimiter::default();
        assert!(limits.admit(&session_egress, &COPY, 1));
        assert!(!limits.admit(&session_egress, &COPY, 1_900_000_000));
        assert!(limits.admit(&session_egress, &COPY, 1_999_999_999));
    }
}
