//! The JSON bodies of requests.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::lab::error::LabError;

/// `POST seed`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedBody {
    pub(super) seed: u64,
}

/// `PUT clock`. Without a time, the clock is that of the system.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClockBody {
    pub(super) now_s: Option<u64>,
}

/// `POST explain`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainBody {
    pub(super) network_interface_id: String,
    pub(super) direction: Option<String>,
    pub(super) flow: Option<String>,
    /// In base64.
    pub(super) frame: Option<String>,
}

/// `PUT network-interfaces/{eni}`. A key that is absent does not change its value.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InterfaceBody {
    pub(super) private_ip_addresses: Option<Vec<String>>,
    pub(super) mac_address: Option<String>,
    pub(super) capture: Option<String>,
    pub(super) device: Option<String>,
}

/// `PUT targets/{tmt}/address`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetBody {
    pub(super) addresses: Vec<String>,
}

/// Reads a body. The error names the key.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, LabError> {
    serde_json::from_slice(body)
        .map_err(|error| LabError::invalid("InvalidBody", format_args!("body: {error}")))
}
