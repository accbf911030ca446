//! Checks options that name processors or devices of this host.

use super::flags::RunFlags;
use crate::cli::exit::Failure;
use crate::io::links;

/// Rejects `--cpus` and `--bind-device` values that this host does not have.
pub(super) fn check(flags: &RunFlags) -> Result<(), Failure> {
    check_processors(&flags.cpus)?;
    flags.bind_device.as_deref().map_or(Ok(()), check_device)
}

fn check_processors(cpus: &[u16]) -> Result<(), Failure> {
    let allowed = rustix::thread::sched_getaffinity(None).map_err(Failure::failed)?;
    let is_allowed = |cpu: &u16| {
        usize::from(*cpu) < rustix::thread::CpuSet::MAX_CPU && allowed.is_set(usize::from(*cpu))
    };
    let Some(absent) = cpus.iter().find(|cpu| !is_allowed(cpu)) else { return Ok(()) };
    let known: Vec<String> = (0..=u16::MAX).filter(is_allowed).map(|cpu| cpu.to_string()).collect();
    Err(Failure::usage(format_args!(
        "--cpus `{absent}`: expected processors that this process may use, which are {}",
        known.join(", ")
    )))
}

fn check_device(name: &str) -> Result<(), Failure> {
    let links = links::links().map_err(Failure::failed)?;
    if links.iter().any(|link| link.name == name) {
        return Ok(());
    }
    let names: Vec<&str> = links.iter().map(|link| &*link.name).collect();
    Err(Failure::usage(format_args!(
        "--bind-device `{name}`: expected one of {}",
        names.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_for_an_unknown_processor_or_device_lists_the_known_ones() {
        assert!(check_processors(&[]).is_ok());
        let refused = check_processors(&[65_535]).unwrap_err().to_string();
        assert!(refused.starts_with("--cpus `65535`: expected processors"), "{refused}");
        assert!(check_device("lo").is_ok());
        let refused = check_device("nosuch").unwrap_err().to_string();
        assert!(refused.contains("lo"), "{refused}");
    }
}
