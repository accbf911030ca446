//! A disk that becomes full under the state of the endpoint, and then has space again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::endpoint::{Client, start, text};
use crate::lab::Lab;
use crate::waiting::wait_until;
use testkit::print_uncaptured;

/// A file system of 3 MiB in memory, unmounted at the end of the test.
struct SmallFilesystem(PathBuf);

impl SmallFilesystem {
    fn mount(path: &Path) -> Option<Self> {
        fs::create_dir(path).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"]).arg(path);
        let is_mounted = command.output().is_ok_and(|output| output.status.success());
        if !is_mounted {
            print_uncaptured("NOT RUN: a full file system needs the permission to mount\n");
        }
        is_mounted.then(|| Self(path.to_owned()))
    }

    /// Fills the remaining space.
    fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        // The write fails with "No space left on device".
        let _ = fs::write(&ballast, vec![1; 4 << 20]);
        ballast
    }
}

impl Drop for SmallFilesystem {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn changes_work_again_once_a_full_disk_has_space() {
    let Some(lab) = Lab::new("full") else { return };
    let Some(disk) = SmallFilesystem::mount(&lab.folder.path().join("disk")) else { return };
    let mirror = start(&lab, &disk.0.join("state"));
    let client = Client { host: &lab.host };
    let create = |description: &str| {
        client.call(&format!("Action=CreateTrafficMirrorFilter&Description={description}"))
    };
    assert_eq!(create("before").0, 200);
    // An interface that was added after the start is still known when the account is read again.
    lab.host.ip("link add x0 type veth peer name x1\n");
    let by_name = "Action=DescribeNetworkInterfaces&Filter.1.Name=tag:Name&Filter.1.Value.1=x0";
    let has_new = || client.call(by_name).1.contains("<networkInterfaceId>");
    wait_until("a new interface", has_new);
    let ballast = disk.fill();
    // The file may have some free pages.
    let long = "a".repeat(200);
    let refused = (0..400).map(|_| create(&long)).find(|(status, _)| *status != 200);
    let (status, document) = refused.expect("the disk is full");
    assert_eq!(status, 500, "{document}");
    assert!(document.contains("No space left"), "{document}");
    for _ in 0..3 {
        assert_eq!(create(&long).0, 500);
    }
    let describe = || client.call("Action=DescribeTrafficMirrorFilters&MaxResults=1000");
    let (status, during) = describe();
    assert_eq!(status, 200, "{during}");
    assert!(during.contains("<description>before<"), "{during}");
    assert!(has_new(), "the new interface is not listed");
    fs::remove_file(ballast).unwrap();
    let (status, made) = create("after");
    assert_eq!(status, 200, "{made}");
    let made = text(&made, "trafficMirrorFilterId");
    let (_, after) = describe();
    let count = |document: &str| document.matches("<trafficMirrorFilterId>").count();
    assert_eq!(count(&after), count(&during) + 1, "a refused filter exists");
    assert_eq!(
        mirror.count_lines_with("changes are refused until"),
        1,
        "{:#?}",
        mirror.log_lines()
    );
    assert_eq!(mirror.count_lines_with("changes are accepted"), 1, "{:#?}", mirror.log_lines());
    mirror.end().assert_no_loss();
    let mirror = start(&lab, &disk.0.join("state"));
    let (_, again) = describe();
    assert!(again.contains(&made) && count(&again) == count(&after));
    mirror.end().assert_no_loss();
}
