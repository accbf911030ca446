//! Enters a sandbox on a separate thread and tries operations that it must deny.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::thread;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::*;
use crate::io::links::{Pad, links};
use crate::io::sys::bpf::{Map, MapKind};
use crate::io::sys::namespace::run_in_new_network_namespace;

/// Whether this kernel enforces both restrictions; prints a line if it does not.
fn can_enforce() -> bool {
    let entered = thread::spawn(|| Sandbox::default().enter()).join().unwrap();
    let can_enforce = entered.filesystem.is_ok() && entered.syscalls.is_ok();
    if !can_enforce {
        eprintln!("NOT RUN: the kernel cannot enforce a sandbox: {entered:?}");
    }
    can_enforce
}

/// Runs a task in the sandbox. A panic of the task fails the test.
fn run_sandboxed(sandbox: Sandbox, work: impl FnOnce() + Send + 'static) {
    let entered = move || {
        let entered = sandbox.enter();
        assert_eq!(entered, Enforcement { filesystem: Ok(()), syscalls: Ok(()) });
        work();
    };
    if let Err(panic) = thread::spawn(entered).join() {
        std::panic::resume_unwind(panic);
    }
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn only_the_named_files_can_be_read_and_written() {
    if !can_enforce() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("out")).unwrap();
    fs::create_dir(at("config")).unwrap();
    for name in ["named", "other", "out/old", "config/file", "device"] {
        fs::write(at(name), "text").unwrap();
    }
    let mut sandbox = Sandbox::new(NetworkAccess::None);
    sandbox.allow_read(at("named"));
    sandbox.allow_read(at("config"));
    sandbox.allow_read(at("absent"));
    sandbox.allow_write(at("device"));
    sandbox.allow_write_in(at("out"));
    let base = folder.path().to_owned();
    run_sandboxed(sandbox, move || {
        let at = |name: &str| base.join(name);
        assert_eq!(fs::read(at("named")).unwrap(), b"text");
        assert_eq!(fs::read(at("config/file")).unwrap(), b"text");
        for refused in ["other", "device"] {
            let error = fs::read(at(refused)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{refused}");
        }
        assert_eq!(fs::read(at("absent")).unwrap_err().kind(), ErrorKind::NotFound);
        for refused in ["named", "other", "config/new", "new"] {
            let error = fs::write(at(refused), "").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{refused}");
        }
        File::options().write(true).open(at("device")).unwrap().write_all(b"more").unwrap();
        fs::write(at("out/new"), "new").unwrap();
        fs::rename(at("out/new"), at("out/old")).unwrap();
        assert_eq!(fs::read(at("out/old")).unwrap(), b"new");
        fs::remove_file(at("out/old")).unwrap();
        assert!(fs::rename(at("named"), at("out/named")).is_err());
        assert!(fs::remove_file(at("other")).is_err());
        // Threads that are started in the sandbox are restricted too.
        let other = at("other");
        assert!(thread::spawn(move || fs::read(other)).join().unwrap().is_err());
    });
    assert_eq!(fs::read(at("other")).unwrap(), b"text");
}

#[test]
fn a_temporary_folder_can_be_removed_with_its_files() {
    if !can_enforce() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["made", "other"] {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("file"), "text").unwrap();
    }
    let mut sandbox = Sandbox::new(NetworkAccess::None);
    sandbox.allow_write_in(at("made"));
    sandbox.allow_remove_folders_in(folder.path());
    let base = folder.path().to_owned();
    run_sandboxed(sandbox, move || {
        fs::remove_dir_all(base.join("made")).unwrap();
        assert!(fs::remove_dir_all(base.join("other")).is_err());
    });
    assert!(!at("made").exists() && at("other").join("file").exists());
}

#[test]
fn without_network_access_no_socket_is_opened() {
    if !can_enforce() {
        return;
    }
    run_sandboxed(Sandbox::new(NetworkAccess::None), || {
        let families = [
            AddressFamily::INET,
            AddressFamily::INET6,
            AddressFamily::UNIX,
            AddressFamily::NETLINK,
            AddressFamily::PACKET,
        ];
        for family in families {
            let refused = socket(family, SocketType::DGRAM, None);
            assert_eq!(refused.unwrap_err(), Errno::NOSYS, "{family:?}");
        }
        assert!(UdpSocket::bind("127.0.0.1:0").is_err());
        assert!(TcpStream::connect("127.0.0.1:9").is_err());
    });
}

#[test]
fn a_sender_cannot_accept_connections() {
    if !can_enforce() {
        return;
    }
    run_sandboxed(Sandbox::new(NetworkAccess::Send), || {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"copy", receiver.local_addr().unwrap()).unwrap();
        assert_eq!(receiver.recv(&mut [0; 8]).unwrap(), 4);
        assert!(TcpListener::bind("127.0.0.1:0").is_err());
        for family in [AddressFamily::VSOCK, AddressFamily::BLUETOOTH] {
            let refused = socket(family, SocketType::DGRAM, None);
            assert_eq!(refused.unwrap_err(), Errno::NOSYS, "{family:?}");
        }
    });
}

#[test]
fn a_server_can_only_listen_on_its_port_and_not_connect() {
    if !can_enforce() {
        return;
    }
    let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = reserved.local_addr().unwrap().port();
    drop(reserved);
    let mut sandbox = Sandbox::new(NetworkAccess::Serve);
    sandbox.allow_listen(port);
    let outside = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = outside.local_addr().unwrap();
    run_sandboxed(sandbox, move || {
        TcpListener::bind(("127.0.0.1", port)).unwrap();
        let other = TcpListener::bind(("127.0.0.1", port.wrapping_add(1).max(1024)));
        assert_eq!(other.unwrap_err().kind(), ErrorKind::PermissionDenied);
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    });
}

#[test]
fn programs_and_namespaces_are_blocked() {
    if !can_enforce() {
        return;
    }
    let mut sandbox = Sandbox::new(NetworkAccess::Serve);
    sandbox.allow_read("/");
    run_sandboxed(sandbox, || {
        assert!(Command::new("/bin/true").status().is_err());
        let namespace = File::open("/proc/self/ns/net").unwrap();
        let entered = move_into_link_name_space(
            std::os::fd::AsFd::as_fd(&namespace),
            Some(LinkNameSpaceType::Network),
        );
        assert_eq!(entered.unwrap_err(), Errno::NOSYS);
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(status.contains("\nSeccomp:\t2\n"), "{status}");
        assert!(status.contains("\nNoNewPrivs:\t1\n"), "{status}");
        assert_eq!(errno(File::open("/proc/self/mem").map(drop)), None, "reading is granted");
        let refused = rustix::process::test_kill_process(rustix::process::getppid().unwrap());
        assert_eq!(refused.unwrap_err(), Errno::NOSYS);
    });
}

/// Creates a map, the first call of the kernel tier.
fn create_map() -> Option<i32> {
    errno(Map::create(MapKind::Array, 8, 1))
}

#[test]
fn bpf_is_blocked_unless_the_kernel_tier_is_allowed() {
    if !can_enforce() {
        return;
    }
    let before = create_map();
    run_sandboxed(Sandbox::new(NetworkAccess::Serve), || {
        assert_eq!(create_map(), Some(libc::ENOSYS));
        let denied = File::open("/sys/devices/system/cpu/possible").unwrap_err();
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
    });
    let mut sandbox = Sandbox::new(NetworkAccess::Serve);
    sandbox.set_kernel_tier(KernelTier::Allowed);
    run_sandboxed(sandbox, move || {
        // Without CAP_BPF, the kernel may refuse the call with another error.
        assert_eq!(create_map(), before);
        for path in ["/sys/devices/system/cpu/possible", "/sys/kernel/btf/vmlinux"] {
            let error = File::open(path).err().map(|error| error.kind());
            assert!(matches!(error, None | Some(ErrorKind::NotFound)), "{path}: {error:?}");
        }
        assert!(fs::read("/sys/devices/system/cpu/online").is_err());
    });
}

#[test]
fn the_kernel_tier_can_create_and_remove_its_devices_in_the_sandbox() {
    if !can_enforce() {
        return;
    }
    run_in_new_network_namespace(|| {
        let mut sandbox = Sandbox::new(NetworkAccess::Serve);
        sandbox.set_kernel_tier(KernelTier::Allowed);
        assert_eq!(sandbox.enter().syscalls, Ok(()));
        drop(Pad::create(0x3f).unwrap());
        assert_eq!(links().unwrap().len(), 1);
    });
}

/// Prints the time of a system call of the hot path with and without the sandbox. The figures are
/// in ARCHITECTURE.md.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn cost_of_system_calls() {
    const CALLS: u32 = 5_000;
    const ROUNDS: usize = 200;
    let measure = |is_inside: bool| {
        let work = move || {
            let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
            let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
            sender.connect(receiver.local_addr().unwrap()).unwrap();
            sender.set_nonblocking(true).unwrap();
            if is_inside {
                assert_eq!(Sandbox::new(NetworkAccess::Serve).enter().syscalls, Ok(()));
            }
            let mut byte = [0; 1];
            let timed = |call: &mut dyn FnMut()| {
                let start = std::time::Instant::now();
                (0..CALLS).for_each(|_| call());
                start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
            };
            let soon = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
            [
                timed(&mut || {
                    let _ = rustix::process::getppid();
                }),
                timed(&mut || {
                    let waited = rustix::event::PollFd::new(&sender, rustix::event::PollFlags::IN);
                    rustix::event::poll(&mut [waited], Some(&soon)).unwrap();
                }),
                timed(&mut || drop(sender.recv(&mut byte))),
                timed(&mut || drop(sender.send(&byte))),
            ]
        };
        thread::spawn(work).join().unwrap()
    };
    let mut lowest = [[f64::MAX; 4]; 2];
    for _ in 0..ROUNDS {
        for (is_inside, lowest) in [false, true].into_iter().zip(&mut lowest) {
            for (known, now) in lowest.iter_mut().zip(measure(is_inside)) {
                *known = known.min(now);
            }
        }
    }
    let [without, with] = lowest;
    for (name, (without, with)) in
        ["getppid", "ppoll", "recvfrom", "sendto"].iter().zip(without.iter().zip(with))
    {
        println!("{name}: {without:.0} ns without, {with:.0} ns with");
    }
}
