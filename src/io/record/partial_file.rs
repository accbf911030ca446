//! An incomplete file with a partial name. It is renamed to its final name when it is complete.
//!
//! A file whose content can be produced again, such as the result of a replay, has the name
//! `.NAME.traffic-mirror-PID.partial`. Its writer holds a lock on it (flock(2)), which the kernel
//! releases when the process ends for any reason. The next run with the same output removes the
//! files that are not locked. A file whose content cannot be produced again, such as received
//! frames, has the name `NAME.partial` and is never removed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, flock, fstat, openat, renameat, statat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::output_location::OutputLocation;

/// The number of names that are tried.
const MAX_ATTEMPTS: u32 = 100;

/// The suffix of the names of incomplete files.
const SUFFIX: &str = ".partial";

/// What happens to an incomplete file when its writer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DropPolicy {
    /// The file is removed.
    Remove,
    /// The file is kept.
    Persist,
}

/// A file that does not have its final name yet.
#[derive(Debug)]
pub(super) struct PartialFile {
    folder: OwnedFd,
    name: OsString,
    partial_name: OsString,
    partial_path: PathBuf,
    file: File,
    on_drop: DropPolicy,
}

impl PartialFile {
    /// Creates the file in the folder of the final name. With [`DropPolicy::Remove`], also removes
    /// the stale files of earlier runs.
    ///
    /// # Errors
    /// The error of the system.
    pub(super) fn create(location: OutputLocation, on_drop: DropPolicy) -> io::Result<Self> {
        if on_drop == DropPolicy::Remove {
            remove_stale_files(&location.folder, &location.name);
        }
        let OutputLocation { folder, folder_path, name, .. } = location;
        let (partial_name, file) = match on_drop {
            DropPolicy::Remove => create_locked(&folder, &name)?,
            DropPolicy::Persist => create_unlocked(&folder, &name)?,
        };
        let partial_path = folder_path.join(&partial_name);
        Ok(Self { folder, name, partial_name, partial_path, file, on_drop })
    }

    pub(super) fn path(&self) -> &Path {
        &self.partial_path
    }

    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    pub(super) const fn file_mut(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the file its final name and replaces a file that has this name.
    ///
    /// # Errors
    /// The error of the system. The file still has its partial name then.
    pub(super) fn persist(mut self) -> io::Result<()> {
        renameat(&self.folder, &self.partial_name, &self.folder, &self.name)?;
        // The partial name is free now, and another process may use it.
        self.on_drop = DropPolicy::Persist;
        Ok(())
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if self.on_drop == DropPolicy::Remove {
            // If this fails, the next run removes the file.
            let _ = unlinkat(&self.folder, &self.partial_name, AtFlags::empty());
        }
    }
}

/// Creates `.NAME.traffic-mirror-PID.partial` and locks it.
fn create_locked(folder: &OwnedFd, name: &OsStr) -> io::Result<(OsString, File)> {
    let process = std::process::id();
    for attempt in 0..MAX_ATTEMPTS {
        let number = if attempt == 0 { String::new() } else { format!("-{attempt}") };
        let mut partial_name = partial_name_prefix(name);
        partial_name.push(format!("{process}{number}{SUFFIX}"));
        let file = match create_new(folder, &partial_name) {
            Err(Errno::EXIST) => continue,
            created => created?,
        };
        // On a file system without locks, stale files are never removed.
        let _ = flock(&file, FlockOperation::LockExclusive);
        // Before it was locked, another run may have removed it as stale.
        if is_name_of(folder, &partial_name, &file) {
            return Ok((partial_name, file));
        }
    }
    Err(Errno::EXIST.into())
}

/// Creates `NAME.partial`. If that name exists, because its writer was killed or still runs, six
/// random characters are appended. If the name is too long for the folder, the file's own name is
/// omitted.
fn create_unlocked(folder: &OwnedFd, name: &OsStr) -> io::Result<(OsString, File)> {
    let mut partial_name = name.to_owned();
    partial_name.push(SUFFIX);
    let mut start = match create_new(folder, &partial_name) {
        Ok(file) => return Ok((partial_name, file)),
        Err(Errno::EXIST) => partial_name,
        Err(Errno::NAMETOOLONG) => "traffic-mirror.partial".into(),
        Err(errno) => return Err(errno.into()),
    };
    start.push("-");
    for _ in 0..MAX_ATTEMPTS {
        let mut partial_name = start.clone();
        partial_name.push(random_suffix());
        match create_new(folder, &partial_name) {
            Ok(file) => return Ok((partial_name, file)),
            Err(Errno::EXIST) => {}
            Err(Errno::NAMETOOLONG) => start = "traffic-mirror.partial-".into(),
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Errno::EXIST.into())
}

/// Six random characters.
fn random_suffix() -> String {
    let mut bytes = [0; 3];
    // Without random numbers of the kernel the name may exist; creating the file fails then.
    let _ = getrandom::fill(&mut bytes);
    let [a, b, c] = bytes;
    format!("{a:02x}{b:02x}{c:02x}")
}

/// Creates a new file. The kernel applies the umask of the process to its permissions.
fn create_new(folder: &OwnedFd, name: &OsStr) -> Result<File, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(folder, name, flags, Mode::from_raw_mode(0o666)).map(File::from)
}

/// `.NAME.traffic-mirror-`. A name that is too long is replaced by its hash.
fn partial_name_prefix(name: &OsStr) -> OsString {
    /// The largest length of NAME, in bytes, if file names may have 255 bytes, as on most file
    /// systems.
    const MAX_NAME_LEN: usize = 200;
    let mut start = OsString::from(".");
    if name.len() <= MAX_NAME_LEN {
        start.push(name);
    } else {
        let bytes = name.as_encoded_bytes().iter();
        // FNV-1a, because it is the same in all versions of this program.
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        start.push(format!("{hash:016x}"));
    }
    start.push(".traffic-mirror-");
    start
}

/// Whether the name in the folder refers to the open file.
fn is_name_of(folder: &OwnedFd, name: &OsStr, file: &File) -> bool {
    let named = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    let (Ok(named), Ok(own)) = (named, fstat(file)) else { return false };
    (named.st_dev, named.st_ino) == (own.st_dev, own.st_ino)
}

/// Removes incomplete files of the same output whose writer has ended. Files that cannot be opened
/// are kept.
fn remove_stale_files(folder: &OwnedFd, name: &OsStr) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(listed) = openat(folder, ".", flags, Mode::empty()) else { return };
    let Ok(entries) = Dir::new(listed) else { return };
    let start = partial_name_prefix(name);
    for entry in entries.filter_map(Result::ok) {
        let found = entry.file_name().to_bytes();
        let middle = found
            .strip_prefix(start.as_encoded_bytes())
            .and_then(|rest| rest.strip_suffix(SUFFIX.as_bytes()));
        let is_number = |byte: &u8| byte.is_ascii_digit() || *byte == b'-';
        if middle.is_some_and(|middle| !middle.is_empty() && middle.iter().all(is_number)) {
            remove_if_unlocked(folder, entry.file_name());
        }
    }
}

fn remove_if_unlocked(folder: &OwnedFd, name: &std::ffi::CStr) {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = openat(folder, name, flags, Mode::empty()) else { return };
    let Ok(found) = fstat(&file) else { return };
    let is_ours = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile
        && found.st_uid == geteuid().as_raw();
    if is_ours && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
        // The lock is held until the name is removed, so that no writer uses the file as its own.
        let _ = unlinkat(folder, name, AtFlags::empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(path: &Path) -> PartialFile {
        PartialFile::create(OutputLocation::resolve(path).unwrap(), DropPolicy::Remove).unwrap()
    }

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn partial_files_of_killed_runs_are_removed_and_those_in_use_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcap");
        let left = ".out.pcap.traffic-mirror-1.partial";
        let others = [
            ".out.pcap.traffic-mirror-x.partial",
            ".other.pcap.traffic-mirror-1.partial",
            "out.pcap.partial",
        ];
        for name in others.iter().chain([&left]) {
            std::fs::write(folder.path().join(name), "left").unwrap();
        }
        let first = create(&path);
        let second = create(&path);
        assert!(first.path().exists() && second.path().exists());
        assert_ne!(first.path(), second.path());
        let name = first.path().file_name().unwrap().to_str().unwrap();
        let process = std::process::id();
        assert_eq!(name, format!(".out.pcap.traffic-mirror-{process}.partial"));
        let names = names_in(folder.path());
        assert!(!names.contains(&left.to_owned()), "{names:?}");
        assert!(others.iter().all(|name| names.contains(&(*name).to_owned())), "{names:?}");
        drop(first);
        second.persist().unwrap();
        assert_eq!(names_in(folder.path()).len(), others.len() + 1);
    }

    #[test]
    fn a_symlink_or_pipe_with_a_partial_name_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        std::fs::write(&kept, "kept").unwrap();
        let name = folder.path().join(".out.pcap.traffic-mirror-1.partial");
        std::os::unix::fs::symlink(&kept, &name).unwrap();
        drop(create(&folder.path().join("out.pcap")));
        assert!(name.is_symlink() && kept.exists());
    }

    #[test]
    fn partial_files_with_shortened_names_are_recognised() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x".repeat(255));
        let mut left = partial_name_prefix(path.file_name().unwrap());
        left.push("1.partial");
        std::fs::write(folder.path().join(&left), "left").unwrap();
        let file = create(&path);
        assert!(!folder.path().join(left).exists());
        file.persist().unwrap();
        assert!(path.exists());
    }
}
