//! The tiers of live mirroring: in which of them interfaces are mirrored, and why.

use std::fmt;

/// The choice of the tier for all interfaces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tier {
    /// Frames go through a packet ring to a worker thread.
    #[default]
    Ring,
    /// An eBPF program in the kernel evaluates and copies the frames. An interface whose sessions
    /// do not fit is an error.
    Kernel,
    /// The kernel tier for each interface whose sessions fit, otherwise the ring.
    Auto,
}

/// The tier that mirrors an interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActiveTier {
    /// A packet ring and a worker thread.
    #[default]
    Ring,
    /// An eBPF program.
    Kernel,
}

impl ActiveTier {
    /// Both tiers.
    pub const ALL: [Self; 2] = [Self::Ring, Self::Kernel];

    /// The name: `ring` or `kernel`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Kernel => "kernel",
        }
    }
}

impl fmt::Display for ActiveTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// The tier of an interface, for reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfaceTier {
    /// The tier that mirrors it, or did so last.
    pub tier: ActiveTier,
    /// Why it is not the kernel tier, as a sentence without a period; none in the kernel tier, and
    /// with [`Tier::Ring`].
    pub reason: Option<String>,
    /// How many times the interface has moved to the other tier.
    pub switches: u64,
}

impl InterfaceTier {
    /// Whether the tier is the result of a choice, and not only of [`Tier::Ring`].
    pub(super) fn is_chosen(&self) -> bool {
        *self != Self::default()
    }
}

impl fmt::Display for InterfaceTier {
    /// What follows the device in the sentence that it is mirrored: nothing in the ring tier
    /// without a reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.tier, &self.reason) {
            (ActiveTier::Kernel, _) => f.write_str(", kernel tier"),
            (ActiveTier::Ring, Some(reason)) => write!(f, ", ring tier: {reason}"),
            (ActiveTier::Ring, None) => Ok(()),
        }
    }
}
