//! The memory that this process may use: that of the machine, or the limit of its memory cgroup.
//!
//! The kernel does not charge the memory of packet rings to a memory cgroup, so it does not prevent
//! a process from using more than its cgroup permits. The program therefore reads the limit itself.
//!
//! What belongs here: reading the limit. What does not belong here: the part of it that rings may
//! use (`runtime`).

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::io::sys::memory_size;

/// A memory limit and its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryLimit {
    /// The limit in bytes.
    pub bytes: u64,
    /// The file of the memory cgroup with the limit; none if it is the memory of the machine.
    pub cgroup_file: Option<PathBuf>,
}

impl MemoryLimit {
    /// The limit of this process: the smallest of the machine's memory and the limits of its
    /// memory cgroup and of all cgroups above it. `None` if neither is known.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        // Not from /proc/meminfo: a systemd unit with `ProcSubset=pid` has none.
        Self::read(Path::new("/"), memory_size::total_memory())
    }

    /// The same for another root directory and another memory of the machine, for tests.
    fn read(root: &Path, machine: Option<u64>) -> Option<Self> {
        let text = |path: &str| fs::read_to_string(root.join(path)).ok();
        let cgroups = text("proc/self/cgroup").unwrap_or_default();
        let mounts = text("proc/self/mountinfo").unwrap_or_default();
        let cgroup_limits = CgroupVersion::ALL.iter().filter_map(|version| {
            let path = version.cgroup_path(&cgroups)?;
            lowest_limit(root, &version.find_mount(&mounts)?, path, version.limit_file())
        });
        let machine_limit = machine.map(|bytes| Self { bytes, cgroup_file: None });
        machine_limit.into_iter().chain(cgroup_limits).min_by_key(|limit| limit.bytes)
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = self.bytes >> 20;
        match &self.cgroup_file {
            None => write!(f, "this machine's {mebibytes} MiB of memory"),
            Some(file) => {
                write!(f, "the memory cgroup's limit of {mebibytes} MiB ({})", file.display())
            }
        }
    }
}

/// The two versions of cgroups; a system may have both mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CgroupVersion {
    V1,
    V2,
}

/// The mount of a cgroup hierarchy: the directory, and the cgroup that is at this directory.
#[derive(Debug, PartialEq, Eq)]
struct CgroupMount {
    directory: PathBuf,
    cgroup: String,
}

impl CgroupVersion {
    const ALL: [Self; 2] = [Self::V1, Self::V2];

    const fn limit_file(self) -> &'static str {
        match self {
            Self::V1 => "memory.limit_in_bytes",
            Self::V2 => "memory.max",
        }
    }

    /// The cgroup of the process (cgroups(7), "/proc/pid/cgroup"):
    ///
    /// ```text
    /// 4:memory:/service/one      version 1, hierarchy of the controller `memory`
    /// 0::/service/one            version 2
    /// ```
    fn cgroup_path(self, cgroups: &str) -> Option<&str> {
        cgroups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let is_match = match self {
                Self::V1 => controllers.split(',').any(|one| one == "memory"),
                Self::V2 => number == "0" && controllers.is_empty(),
            };
            is_match.then_some(path)
        })
    }

    /// The mount of the hierarchy (proc_pid_mountinfo(5)):
    ///
    /// ```text
    /// 36 35 0:30 /cgroup /mount/point rw,relatime shared:1 - cgroup cgroup rw,memory
    /// ```
    fn find_mount(self, mounts: &str) -> Option<CgroupMount> {
        mounts.lines().find_map(|line| {
            let (front, back) = line.split_once(" - ")?;
            let mut back = back.split(' ');
            let (kind, _, options) = (back.next()?, back.next()?, back.next()?);
            let is_match = match self {
                Self::V1 => kind == "cgroup" && options.split(',').any(|one| one == "memory"),
                Self::V2 => kind == "cgroup2",
            };
            let mut front = front.split(' ').skip(3);
            let (cgroup, directory) = (front.next()?.to_owned(), front.next()?.into());
            is_match.then_some(CgroupMount { directory, cgroup })
        })
    }
}

/// The lowest limit of a cgroup and of those above it that are mounted here.
fn lowest_limit(root: &Path, mount: &CgroupMount, path: &str, file: &str) -> Option<MemoryLimit> {
    // In a container the mount may be only a part of the hierarchy. The path then starts with that
    // part, or, in a cgroup namespace, it is already relative to the mount.
    let below = path.strip_prefix(mount.cgroup.trim_end_matches('/')).unwrap_or(path);
    let parts: Vec<&str> = below.split('/').filter(|part| !matches!(*part, "" | "..")).collect();
    let limits = (0..=parts.len()).filter_map(|depth| {
        let directory: PathBuf = parts.iter().take(depth).collect();
        let cgroup_file = mount.directory.join(directory).join(file);
        let on_disk = root.join(cgroup_file.strip_prefix("/").unwrap_or(&cgroup_file));
        let bytes = parse_limit(&fs::read_to_string(on_disk).ok()?)?;
        Some(MemoryLimit { bytes, cgroup_file: Some(cgroup_file) })
    });
    limits.min_by_key(|limit| limit.bytes)
}

/// A limit in bytes; `None` for `max`, which is no limit.
fn parse_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "22 1 0:21 / /proc rw - proc proc rw\n\
        30 22 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
        31 22 0:27 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n";

    /// A root directory with these files.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn read(files: &[(&str, &str)]) -> MemoryLimit {
        MemoryLimit::read(root(files).path(), Some(4 << 30)).unwrap()
    }

    #[test]
    fn without_a_cgroup_the_machine_is_the_limit() {
        let limit = read(&[]);
        assert_eq!((limit.bytes, limit.cgroup_file.as_deref()), (4 << 30, None));
        assert_eq!(limit.to_string(), "this machine's 4096 MiB of memory");
        assert!(MemoryLimit::of_this_process().unwrap().bytes > 0);
    }

    #[test]
    fn version_2_takes_the_lowest_limit_up_the_hierarchy() {
        let limit = read(&[
            ("proc/self/cgroup", "4:memory:/\n0::/outer/inner\n"),
            ("proc/self/mountinfo", MOUNTS),
            ("sys/fs/cgroup/unified/outer/memory.max", "268435456\n"),
            ("sys/fs/cgroup/unified/outer/inner/memory.max", "max\n"),
        ]);
        let file = Path::new("/sys/fs/cgroup/unified/outer/memory.max");
        assert_eq!((limit.bytes, limit.cgroup_file.as_deref()), (256 << 20, Some(file)));
        let words = limit.to_string();
        assert!(words.starts_with("the memory cgroup's limit of 256 MiB (/sys/fs"), "{words}");
    }

    #[test]
    fn version_1_has_no_limit_where_the_number_is_huge() {
        let files = [
            ("proc/self/cgroup", "7:cpu,memory:/service\n"),
            ("proc/self/mountinfo", MOUNTS),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/service/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        assert_eq!(read(&files).bytes, 4 << 30);
        let mut files = files;
        files[3].1 = "134217728\n";
        assert_eq!(read(&files).bytes, 128 << 20);
    }

    #[test]
    fn a_container_sees_its_own_cgroup_at_the_mount() {
        let mounts = "30 22 0:26 /docker/4711 /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        for path in ["/docker/4711", "/"] {
            let limit = read(&[
                ("proc/self/cgroup", &format!("0::{path}\n")),
                ("proc/self/mountinfo", mounts),
                ("sys/fs/cgroup/memory.max", "1048576"),
            ]);
            assert_eq!(limit.bytes, 1 << 20, "{path}");
        }
    }

    #[test]
    fn malformed_cgroup_files_give_no_limit() {
        for (cgroups, mounts) in
            [("0::/\n", "x"), ("x\n:\n", MOUNTS), ("", ""), ("0::/../x", MOUNTS)]
        {
            let files = [("proc/self/cgroup", cgroups), ("proc/self/mountinfo", mounts)];
            assert_eq!(read(&files).bytes, 4 << 30, "{cgroups} {mounts}");
        }
        assert_eq!(MemoryLimit::read(tempfile::tempdir().unwrap().path(), None), None);
    }
}
