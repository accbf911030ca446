//! The sender of a request.

use super::api_error::ApiError;

/// The sender of a request, and how the request is executed.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The account, twelve digits.
    pub owner: &'a str,
    /// Whether the request is only checked and changes nothing.
    pub is_dry_run: bool,
    /// The time, in seconds since 1970.
    pub now_s: u64,
}

impl Caller<'_> {
    /// Ends a dry run. AWS makes this check last.
    pub(super) fn check_not_dry_run(&self) -> Result<(), ApiError> {
        if self.is_dry_run { Err(ApiError::dry_run()) } else { Ok(()) }
    }
}
