//! The text of a healthy program, on `/healthz` and in the API of the laboratory.

/// `ok`, and a line with the targets that have no address, which is no fault of the program.
#[must_use]
pub fn healthy_text(targets_without_address: &[&str]) -> String {
    match targets_without_address {
        [] => "ok\n".to_owned(),
        some => format!("ok\ntargets without an address: {}\n", some.join(", ")),
    }
}
