//! The fuse: while the egress queue refuses, copies are shed without asking it, so that
//! production traffic has it to itself.

/// How long the first pause is; each that follows at once is twice as long.
const FIRST_NS: u64 = 500_000;

/// The longest pause.
const LONGEST_NS: u64 = 64_000_000;

/// How long after a pause a refusal still counts as the same congestion.
const CALM_NS: u64 = 100_000_000;

/// Blows when the queue refuses, and closes again by itself.
#[derive(Debug, Default)]
pub(super) struct Fuse {
    until_ns: u64,
    pause_ns: u64,
}

impl Fuse {
    /// Whether it is blown now.
    pub(super) const fn is_blown(&self, now_ns: u64) -> bool {
        now_ns < self.until_ns
    }

    /// The queue refused.
    pub(super) fn blow(&mut self, now_ns: u64) {
        let is_calm = now_ns > self.until_ns.saturating_add(CALM_NS);
        self.pause_ns = if is_calm || self.pause_ns == 0 {
            FIRST_NS
        } else {
            (self.pause_ns * 2).min(LONGEST_NS)
        };
        self.until_ns = now_ns.saturating_add(self.pause_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_the_queue_refuses_and_begin_anew_when_it_was_calm() {
        let mut fuse = Fuse::default();
        assert!(!fuse.is_blown(0));
        let mut now = 1;
        let mut pauses = Vec::new();
        for _ in 0..12 {
            fuse.blow(now);
            assert!(fuse.is_blown(now));
            let begin = now;
            now = fuse.until_ns;
            assert!(!fuse.is_blown(now));
            pauses.push(now - begin);
        }
        assert_eq!(pauses.first(), Some(&FIRST_NS));
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&LONGEST_NS));
        fuse.blow(now + CALM_NS + 1);
        assert_eq!(fuse.pause_ns, FIRST_NS);
    }
}
