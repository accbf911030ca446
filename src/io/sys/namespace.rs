//! Moves the calling thread into a network namespace.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The directory in which `ip netns add` creates namespaces.
const NAMED: &str = "/run/netns";

/// Moves only the calling thread into a network namespace: the one that `ip netns` lists under this
/// name, or, if `name` contains `/`, the one at this path, such as `/proc/4711/ns/net`. Threads
/// that it starts later are in the namespace, too. Open sockets stay in their namespace.
///
/// # Errors
/// There is no such namespace, or the process may not enter it.
pub fn enter_network_namespace(name: &str) -> io::Result<()> {
    let path = path_of(name)?;
    let file = File::open(&path).map_err(|error| open_error(name, &path, &error))?;
    let network = Some(LinkNameSpaceType::Network);
    move_into_link_name_space(file.as_fd(), network)
        .map_err(|error| enter_error(name, &path, error.into()))
}

fn path_of(name: &str) -> io::Result<PathBuf> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    if matches!(name, "" | "." | "..") {
        let expected = "a name of `ip netns list`, or a path such as /proc/4711/ns/net";
        let sentence = format!("network namespace `{name}`: expected {expected}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, sentence));
    }
    Ok(Path::new(NAMED).join(name))
}

fn open_error(name: &str, path: &Path, error: &io::Error) -> io::Error {
    let sentence = if name.contains('/') {
        format!("no network namespace at {}: {error}", path.display())
    } else {
        format!(
            "no network namespace `{name}` in {NAMED}: {error}; `ip netns list` shows the \
             existing ones"
        )
    };
    io::Error::new(error.kind(), sentence)
}

fn enter_error(name: &str, path: &Path, error: io::Error) -> io::Error {
    let why = match error.raw_os_error() {
        Some(libc::EINVAL) => format!("{} is not a network namespace", path.display()),
        Some(libc::EPERM) => "CAP_SYS_ADMIN is required (root or sudo)".to_owned(),
        _ => error.to_string(),
    };
    io::Error::new(error.kind(), format!("cannot enter the network namespace `{name}`: {why}"))
}

/// Runs a test on a new thread in a new network namespace, which has only the device `lo`. Prints a
/// line and does nothing if the process may not create one.
#[cfg(test)]
pub(crate) fn run_in_new_network_namespace(test: impl FnOnce() + Send + 'static) {
    let work = || {
        // SAFETY: this changes only the network namespace of this thread, on which no memory of the
        // process depends.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0 {
            test();
        } else {
            eprintln!("NOT RUN: creating a network namespace needs CAP_SYS_ADMIN");
        }
    };
    if let Err(panic) = std::thread::spawn(work).join() {
        std::panic::resume_unwind(panic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str) -> String {
        enter_network_namespace(name).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_namespace_is_an_error_with_the_expected_form() {
        let missing = refusal("tm-no-such-namespace");
        assert!(missing.starts_with("no network namespace `tm-no-such-namespace` in /run/netns: "));
        assert!(missing.contains("ip netns list"), "{missing}");
        assert!(
            refusal("/proc/no/ns/net").starts_with("no network namespace at /proc/no/ns/net: ")
        );
        assert!(refusal("/dev/null").ends_with(": /dev/null is not a network namespace"));
        assert!(refusal("..").contains("expected a name of"));
    }
}
