//! Flags of generated rules and packets.

use clap::{Args, ValueEnum};

use crate::bench::{AddressFamily, Mix, PacketOptions, RuleShape, RuleSource};
use crate::cli::number;

/// Flags of generated rules and packets.
#[derive(Debug, Args)]
pub(super) struct GenerateFlags {
    /// Generate N distinct rules; all accept.
    #[arg(id = "count_of_rules", long = "rules", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) rules: Option<u32>,

    /// Kind of rule list that generated rules resemble [default: acl].
    #[arg(long, value_name = "SHAPE", conflicts_with_all = ["classbench", "config"])]
    shape: Option<ShapeFlag>,

    /// Address family of generated rules [default: ipv4].
    #[arg(long, value_name = "FAMILY", conflicts_with_all = ["classbench", "config"])]
    family: Option<FamilyFlag>,

    /// Seed of generated rules and packets: the same seed gives the same ones [default: 1].
    #[arg(long, value_name = "N", value_parser = number::at_least(0))]
    pub(super) seed: Option<u64>,

    /// Generate N packets.
    #[arg(long, value_name = "N", default_value_t = 65_536,
        conflicts_with_all = ["trace", "capture"],
        value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    packets: u32,

    /// Percentages of generated packets that match a random rule (hit), have random headers (miss)
    /// and match the last rule (last).
    #[arg(long, value_name = "SHARES", default_value = "hit=80,miss=15,last=5",
        conflicts_with_all = ["trace", "capture"], value_parser = Mix::parse)]
    mix: Mix,

    /// Number of different headers of generated packets [default: one for each packet].
    #[arg(long, value_name = "N", conflicts_with_all = ["trace", "capture"],
        value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    flows: Option<u32>,

    /// Exponent of Zipf's law: flow r of 1, 2, 3 ... has the weight 1/r^S; 0 gives equal weights.
    #[arg(long, value_name = "S", default_value_t = 0.0,
        conflicts_with_all = ["trace", "capture"], value_parser = exponent)]
    zipf: f64,
}

/// Kind of rule list.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ShapeFlag {
    /// Access list: narrow networks on both sides and one destination port.
    Acl,
    /// Firewall: many wildcards, and port ranges on both sides.
    Fw,
    /// IP chain: between the two; many rules have a counterpart for the opposite direction.
    Ipc,
}

/// Address family.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FamilyFlag {
    /// IPv4.
    Ipv4,
    /// IPv6, with addresses in 2000::/3.
    Ipv6,
}

impl GenerateFlags {
    /// These numbers of generated rules.
    pub(super) fn rule_source(&self, counts: Vec<u32>) -> RuleSource {
        let shape = self.shape.map_or_else(RuleShape::default, |shape| match shape {
            ShapeFlag::Acl => RuleShape::Acl,
            ShapeFlag::Fw => RuleShape::Fw,
            ShapeFlag::Ipc => RuleShape::Ipc,
        });
        let family = self.family.map_or_else(AddressFamily::default, |family| match family {
            FamilyFlag::Ipv4 => AddressFamily::Ipv4,
            FamilyFlag::Ipv6 => AddressFamily::Ipv6,
        });
        RuleSource::Generated { counts, shape, family, seed: self.seed.unwrap_or(1) }
    }

    pub(super) fn packet_options(&self) -> PacketOptions {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        PacketOptions {
            packets: count(self.packets),
            flows: count(self.flows.unwrap_or(self.packets)),
            zipf: self.zipf,
            mix: self.mix,
            seed: self.seed.unwrap_or(1),
        }
    }
}

fn exponent(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    let number = number.filter(|number| (0.0..=10.0).contains(number));
    number.ok_or_else(|| "expected a number from 0 to 10".to_owned())
}
