//! What a user may say of generated rules and packets.

use clap::Args;

use super::{AddressFamily, Mix, PacketOptions, RuleShape};

/// Flags of generated rules and packets.
#[derive(Debug, Args)]
pub(in super::super) struct GenerateFlags {
    /// Generate so many distinct rules; all accept.
    #[arg(id = "count_of_rules", long = "rules", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(in super::super) rules: Option<u32>,

    /// What generated rules look like [default: acl].
    #[arg(long, value_name = "SHAPE", conflicts_with_all = ["classbench", "config"])]
    shape: Option<RuleShape>,

    /// Of which family generated rules are [default: ipv4].
    #[arg(long, value_name = "FAMILY", conflicts_with_all = ["classbench", "config"])]
    family: Option<AddressFamily>,

    /// What rules and packets are drawn by: the same seed draws the same [default: 1].
    #[arg(long, value_name = "N")]
    pub(in super::super) seed: Option<u64>,

    /// Generate so many packets.
    #[arg(long, value_name = "N", default_value_t = 65_536,
        conflicts_with_all = ["trace", "capture"],
        value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    packets: u32,

    /// Of a hundred generated packets, how many lie in any rule, anywhere, or in the last rule.
    #[arg(long, value_name = "SHARES", default_value = "hit=80,miss=15,last=5",
        conflicts_with_all = ["trace", "capture"], value_parser = Mix::parse)]
    mix: Mix,

    /// How many different headers generated packets have; by default each its own.
    #[arg(long, value_name = "N", conflicts_with_all = ["trace", "capture"],
        value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    flows: Option<u32>,

    /// How much more often the first flows come: flow r has the weight 1/r^S.
    #[arg(long, value_name = "S", default_value_t = 0.0, allow_negative_numbers = true,
        conflicts_with_all = ["trace", "capture"], value_parser = exponent)]
    zipf: f64,
}

impl GenerateFlags {
    pub(in super::super) fn shape(&self) -> RuleShape {
        self.shape.unwrap_or_default()
    }

    pub(in super::super) fn family(&self) -> AddressFamily {
        self.family.unwrap_or_default()
    }

    pub(in super::super) fn seed(&self) -> u64 {
        self.seed.unwrap_or(1)
    }

    pub(in super::super) fn packet_options(&self) -> PacketOptions {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        PacketOptions {
            packets: count(self.packets),
            flows: count(self.flows.unwrap_or(self.packets)),
            zipf: self.zipf,
            mix: self.mix,
            seed: self.seed(),
        }
    }
}

fn exponent(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    let number = number.filter(|number| (0.0..=10.0).contains(number));
    number.ok_or_else(|| format!("{text:?} is no number from 0 to 10"))
}
