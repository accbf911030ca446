//! `--parameter`: values for CloudFormation templates and Terraform plans.

use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::Failure;
use crate::control::config::ParameterValues;

/// The flag with values for infrastructure code.
#[derive(Debug, Args)]
pub(super) struct ParameterFlags {
    /// Value of a parameter of a CloudFormation template. The same option gives the values of exports,
    /// dynamic references, pseudo parameters and attributes (Vpc.CidrBlock) that no file contains, and of
    /// arguments of a Terraform plan (ADDRESS.ARGUMENT). `@FILE` reads them from a JSON file in a form of
    /// the AWS CLI. May be given several times.
    #[arg(long, value_name = "KEY=VALUE", requires = "config")]
    parameter: Vec<String>,
}

impl ParameterFlags {
    /// The values.
    pub(super) fn values(&self) -> Result<ParameterValues, Failure> {
        let mut values = ParameterValues::default();
        for text in &self.parameter {
            values
                .add_option(text)
                .map_err(|error| Failure::usage(format_args!("--parameter {error}")))?;
        }
        Ok(values)
    }

    /// Rejects the option if no configuration is read.
    pub(super) fn check_unused(&self) -> Result<(), Failure> {
        match self.parameter.first() {
            Some(text) => Err(Failure::usage(format_args!(
                "--parameter `{text}`: expected --config beside it"
            ))),
            None => Ok(()),
        }
    }

    /// The files that the options name.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let names = self.parameter.iter().filter_map(|text| text.strip_prefix('@'));
        names.map(|name| Path::new(name).to_owned()).collect()
    }
}
