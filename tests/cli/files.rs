//! Files of other users, files that other users can read, and files that killed processes leave.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::run::{Scratch, binary, capture, session_config};

/// The user id of `nobody`.
const NOBODY: Option<u32> = Some(65_534);

fn is_root() -> bool {
    let is_root = testkit::namespace::is_root();
    if !is_root {
        testkit::print_uncaptured("NOT RUN: this test needs root\n");
    }
    is_root
}

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write_file("in.pcap", capture(3));
    scratch.write_file("mirror.toml", session_config());
    scratch
}

/// The target of another user's link stays unchanged, in a folder of root, a shared folder, and a
/// folder of that user.
#[test]
fn a_symlink_of_another_user_is_replaced_and_an_own_one_is_followed() {
    if !is_root() {
        return;
    }
    let scratch = scratch();
    for (mode, owner) in [(0o755, Some(0)), (0o1777, Some(0)), (0o755, NOBODY)] {
        for command in [
            "replay in.pcap --target 192.0.2.1 --write way/link",
            "bench --rules 5 --packets 64 --rounds 1 --plot way/link",
            "bench --rules 5 --packets 64 --rounds 1 --html way/link",
        ] {
            scratch.write_file("precious", "precious");
            let (folder, link) = (scratch.path("way"), scratch.path("way/link"));
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
            lchown(&folder, owner, None).unwrap();
            symlink(scratch.path("precious"), &link).unwrap();
            lchown(&link, NOBODY, None).unwrap();
            let ran = scratch.run(command);
            assert_eq!(ran.code, 0, "{command}: {}", ran.stderr);
            assert_eq!(fs::read(scratch.path("precious")).unwrap(), b"precious", "{command}");
            assert!(link.symlink_metadata().unwrap().is_file(), "{command}");
            fs::remove_file(&link).unwrap();
            symlink(scratch.path("precious"), &link).unwrap();
            assert_eq!(scratch.run(command).code, 0);
            assert!(link.is_symlink(), "{command}");
            assert_ne!(fs::read(scratch.path("precious")).unwrap(), b"precious", "{command}");
            fs::remove_dir_all(&folder).unwrap();
        }
    }
}

#[test]
fn an_output_folder_behind_a_symlink_of_another_user_is_refused() {
    if !is_root() {
        return;
    }
    let scratch = scratch();
    fs::create_dir(scratch.path("real")).unwrap();
    symlink("real", scratch.path("way")).unwrap();
    lchown(scratch.path("way"), NOBODY, None).unwrap();
    let ran = scratch.run("replay in.pcap --target 192.0.2.1 --write way/out.pcap");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("way` belongs to user 65534"), "{}", ran.stderr);
    assert!(fs::read_dir(scratch.path("real")).unwrap().next().is_none());
}

#[test]
fn a_killed_replay_leaves_a_partial_file_that_the_next_one_removes() {
    let scratch = scratch();
    scratch.write_file("long.pcap", capture(20_000));
    let start = || {
        Command::new(binary())
            .current_dir(scratch.path("."))
            .args("replay long.pcap --target 127.0.0.1 --speed 1kpps --write out.pcap".split(' '))
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let partial = |id: u32| format!(".out.pcap.traffic-mirror-{id}.partial");
    let mut killed = start();
    let mut living = start();
    for child in [&killed, &living] {
        let is_written = (0..1_000).any(|_| {
            pause();
            scratch.names().contains(&partial(child.id()))
        });
        assert!(is_written, "there is no partial file after 10 s");
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(scratch.names().contains(&partial(killed.id())));
    let ran = scratch.run("replay in.pcap --target 192.0.2.1 --write out.pcap");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let names = scratch.names();
    assert!(!names.contains(&partial(killed.id())), "{names:?}");
    assert!(names.contains(&partial(living.id())), "{names:?}");
    living.kill().unwrap();
    living.wait().unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a test waits for another process")]
fn pause() {
    thread::sleep(Duration::from_millis(10));
}

#[test]
fn secrets_that_others_can_read_are_refused() {
    if !is_root() {
        return;
    }
    let scratch = scratch();
    let write_with_mode = |name: &str, mode: u32| {
        scratch.write_file(name, "");
        fs::set_permissions(scratch.path(name), Permissions::from_mode(mode)).unwrap();
    };
    write_with_mode("chain.pem", 0o644);
    let endpoint = "run --ec2-endpoint 127.0.0.1:0";
    for (option, words) in [
        ("--tls-key `secret`", "--tls-certificate chain.pem --tls-key secret"),
        ("--credentials `secret`", "--credentials secret"),
    ] {
        for mode in [0o644, 0o640] {
            write_with_mode("secret", mode);
            let ran = scratch.run(&format!("{endpoint} {words}"));
            assert_eq!(ran.code, 2, "{}", ran.stderr);
            assert!(ran.stderr.contains(option), "{}", ran.stderr);
            assert!(ran.stderr.contains("chmod 600 secret"), "{}", ran.stderr);
        }
        write_with_mode("secret", 0o600);
        let ran = scratch.run(&format!("{endpoint} {words}"));
        assert!(!ran.stderr.contains("chmod"), "{}", ran.stderr);
    }
}

#[test]
fn a_state_file_that_others_can_change_is_refused() {
    if !is_root() {
        return;
    }
    let scratch = scratch();
    let refused = |part: &str| {
        let ran = scratch.run("run --ec2-endpoint 127.0.0.1:0 --state folder/state");
        assert_eq!(ran.code, 2, "{part}: {}", ran.stderr);
        assert!(ran.stderr.contains("--state `folder/state`"), "{}", ran.stderr);
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    };
    let folder = scratch.path("folder");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    refused("a folder that other users may write to");
    fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
    scratch.write_file("folder/state", "");
    fs::set_permissions(folder.join("state"), Permissions::from_mode(0o664)).unwrap();
    refused("other users may write to it (mode 664)");
    fs::set_permissions(folder.join("state"), Permissions::from_mode(0o600)).unwrap();
    lchown(folder.join("state"), NOBODY, None).unwrap();
    refused("it belongs to user 65534");
    fs::remove_file(folder.join("state")).unwrap();
    symlink(scratch.path("real"), folder.join("state")).unwrap();
    lchown(folder.join("state"), NOBODY, None).unwrap();
    refused("a symbolic link that belongs to another user");
}
