//! Chooses the tier of each interface, from the options, the kernel and the sessions.

use std::sync::Arc;

use super::error::Error;
use super::kernel_programs::{AttachPrograms, KernelPrograms, TierRefusal};
use super::options::Options;
use super::tier::Tier;
use crate::dataplane::MirrorTable;
use crate::dataplane::kernel::check_table;
use crate::io::kernel::{KernelMirror, KernelTier, KernelTierError};
use crate::io::links::Link;
use crate::io::udp::Egress;

/// Attaches programs to the device with this index.
type Attach = dyn Fn(u32, &Arc<MirrorTable>) -> Result<Box<dyn KernelPrograms>, KernelTierError>
    + Send
    + Sync;

/// The choice for an interface.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TierChoice {
    /// Attach programs. If this fails and [`Tier::Auto`] is wanted, use the ring.
    Kernel,
    /// Open rings, for this reason; without one if the options say so.
    Ring(Option<TierRefusal>),
    /// Mirror nothing, because the kernel tier is required.
    Neither(TierRefusal),
}

/// Chooses the tier of each interface.
pub(super) struct TierChooser {
    wanted: Tier,
    /// How programs are attached, or why they cannot be attached to any device.
    kernel: Result<Arc<Attach>, String>,
}

impl TierChooser {
    /// Opens the kernel tier if the options permit it.
    ///
    /// # Errors
    /// The kernel tier is required and not available.
    pub(super) fn open(options: &Options, egress: &Arc<Egress>) -> Result<Self, Error> {
        let wanted = options.tier;
        if wanted == Tier::Ring {
            return Ok(Self { wanted, kernel: Err(String::new()) });
        }
        let kernel = match (options.kernel_tier_conflict(), options.ring.mark) {
            (None, Some(mark)) => {
                let tier = KernelTier::open(mark, Arc::clone(egress));
                tier.map(attach_with).map_err(|error| (error.to_string(), false))
            }
            (conflict, _) => Err((conflict.unwrap_or_default().to_owned(), true)),
        };
        match kernel {
            Err((sentence, is_invalid)) if wanted == Tier::Kernel => {
                Err(Error::Tier { sentence, is_invalid })
            }
            Err((sentence, _)) => Ok(Self { wanted, kernel: Err(sentence) }),
            Ok(attach) => Ok(Self { wanted, kernel: Ok(attach) }),
        }
    }

    /// Whether an interface that the kernel tier cannot mirror is an error.
    pub(super) fn requires_kernel(&self) -> bool {
        self.wanted == Tier::Kernel
    }

    /// Whether the traffic of an interface may change its tier.
    pub(super) fn follows_traffic(&self) -> bool {
        self.wanted == Tier::Auto && self.kernel.is_ok()
    }

    /// The tier of an interface with this device and table.
    pub(super) fn choose(&self, link: &Link, table: &MirrorTable) -> TierChoice {
        if self.wanted == Tier::Ring {
            return TierChoice::Ring(None);
        }
        match self.refusal(link, table) {
            None => TierChoice::Kernel,
            Some(refusal) if self.requires_kernel() => TierChoice::Neither(refusal),
            Some(refusal) => TierChoice::Ring(Some(refusal)),
        }
    }

    /// A function that attaches programs to the device.
    pub(super) fn attach_to(&self, device_index: u32) -> AttachPrograms {
        match &self.kernel {
            Ok(attach) => {
                let attach = Arc::clone(attach);
                Box::new(move |table| attach(device_index, table))
            }
            Err(_) => Box::new(|_| Err(KernelTierError::Unsupported)),
        }
    }

    /// Why the device cannot be in the kernel tier with this table, as far as it is known before
    /// the programs are loaded.
    fn refusal(&self, link: &Link, table: &MirrorTable) -> Option<TierRefusal> {
        if let Err(reason) = &self.kernel {
            return Some(TierRefusal::permanent(reason.clone()));
        }
        if link.is_loopback {
            return Some(TierRefusal::permanent(
                "each frame passes a loopback device twice".into(),
            ));
        }
        check_table(table).err().map(|error| KernelTierError::from(error).into())
    }
}

fn attach_with(tier: Arc<KernelTier>) -> Arc<Attach> {
    Arc::new(move |device_index, table: &Arc<MirrorTable>| {
        let mirror = KernelMirror::attach(&tier, device_index, Arc::clone(table))?;
        let programs: Box<dyn KernelPrograms> = Box::new(mirror);
        Ok(programs)
    })
}

#[cfg(test)]
mod tests;
