//! The flags of fault injection, for every command that sends or writes copies.

use clap::Args;

use crate::io::impair::Impairments;
use crate::model::InvalidValue;

/// The flags of fault injection.
#[derive(Debug, Args)]
pub(super) struct ImpairFlags {
    /// Inject faults into the copies, to test a collector: for example
    /// loss=1%,duplicate=0.1%,reorder=2%:8,corrupt=0.01%. Each copy gets each fault with this
    /// probability. `reorder=2%:8` delays a copy by 1 to 8 copies (at most 1024; 8 if not given);
    /// `corrupt` flips one bit of the inner frame. --seed selects the copies. They count as
    /// mirrored; the report also counts the faults.
    #[arg(long, value_name = "FAULTS", value_parser = parse_impairments)]
    impair: Option<Impairments>,
}

impl ImpairFlags {
    /// The value of `--impair`.
    pub(super) const fn impairments(&self) -> Option<Impairments> {
        self.impair
    }
}

/// The error names the kind of fault and its value; clap adds the option.
fn parse_impairments(text: &str) -> Result<Impairments, String> {
    text.parse().map_err(|invalid: InvalidValue| invalid.to_string())
}
