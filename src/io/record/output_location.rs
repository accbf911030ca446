//! Resolves the name of an output file without following symbolic links of other users.
//!
//! The path is resolved one component at a time with descriptors of the folders, so that no other
//! user can insert a link between the check and the use. A link is followed if it belongs to the
//! user who runs the program, to root, or to procfs. If root runs the program, only links of root
//! and procfs are followed.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, Stat, fstat, fstatfs, openat,
    readlinkat, statat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

/// The largest number of links in one path, as in the kernel (`MAXSYMLINKS` of `linux/namei.h`).
const MAX_LINKS: u32 = 40;

/// The resolved location of an output file.
#[derive(Debug)]
pub(super) struct OutputLocation {
    /// The folder that contains the name.
    pub(super) folder: OwnedFd,
    /// The path of the folder, for messages.
    pub(super) folder_path: PathBuf,
    /// The name in the folder. It is not a trusted link, except in procfs.
    pub(super) name: OsString,
    /// Whether the complete file replaces the name. A device or a pipe is written to instead.
    pub(super) is_replaced: bool,
}

impl OutputLocation {
    /// Resolves a path.
    ///
    /// # Errors
    /// A folder of the path does not exist or is reached by a link of another user, or the path
    /// names a folder.
    pub(super) fn resolve(path: &Path) -> io::Result<Self> {
        let is_folder = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        if is_folder {
            return Err(directory_error());
        }
        let mut walk = PathWalk::new(path)?;
        while let Some(component) = walk.components.pop_front() {
            let is_last = walk.components.is_empty();
            if let Some(location) = walk.step(component, is_last)? {
                return Ok(location);
            }
        }
        Err(directory_error())
    }

    /// Opens the device or pipe.
    pub(super) fn open(&self) -> io::Result<File> {
        let mut flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
        if !is_procfs(&self.folder) {
            flags |= OFlags::NOFOLLOW;
        }
        let file = loop {
            match openat(&self.folder, &self.name, flags, Mode::empty()) {
                Err(Errno::INTR) => {}
                opened => break File::from(opened?),
            }
        };
        match file.metadata()?.is_file() {
            true => Err(io::Error::other("it became a regular file while it was opened")),
            false => Ok(file),
        }
    }
}

/// The state of a path resolution.
struct PathWalk {
    folder: OwnedFd,
    folder_path: PathBuf,
    components: VecDeque<OsString>,
    followed_links: u32,
}

impl PathWalk {
    fn new(path: &Path) -> io::Result<Self> {
        let mut walk = Self {
            folder: open_folder(CWD, OsStr::new("."))?,
            folder_path: PathBuf::new(),
            components: VecDeque::new(),
            followed_links: 0,
        };
        walk.prepend(&resolve_standard_stream(path))?;
        Ok(walk)
    }

    /// Inserts the components of `path` before the remaining ones.
    fn prepend(&mut self, path: &Path) -> io::Result<()> {
        for component in path.components().rev() {
            match component {
                Component::RootDir => {
                    self.folder = open_folder(CWD, OsStr::new("/"))?;
                    self.folder_path = PathBuf::from("/");
                }
                Component::CurDir | Component::Prefix(_) => {}
                Component::ParentDir | Component::Normal(_) => {
                    self.components.push_front(component.as_os_str().to_owned());
                }
            }
        }
        Ok(())
    }

    /// Enters a folder or follows a link. Returns the location if this was the last component.
    fn step(&mut self, component: OsString, is_last: bool) -> io::Result<Option<OutputLocation>> {
        let found = match statat(&self.folder, &component, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) if is_last => return self.finish(component, true).map(Some),
            found => found?,
        };
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Symlink => self.follow_link(component, is_last),
            FileType::Directory if is_last && component != ".." => Err(directory_error()),
            FileType::Directory => {
                self.folder = open_folder(&self.folder, &component)?;
                self.folder_path.push(component);
                Ok(None)
            }
            _ if !is_last => Err(Errno::NOTDIR.into()),
            kind => self.finish(component, kind == FileType::RegularFile).map(Some),
        }
    }

    fn follow_link(
        &mut self,
        component: OsString,
        is_last: bool,
    ) -> io::Result<Option<OutputLocation>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let link = openat(&self.folder, &component, flags, Mode::empty())?;
        let found = fstat(&link)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
            return Err(io::Error::other("a symbolic link was replaced while it was followed"));
        }
        let is_in_procfs = is_procfs(&self.folder);
        if !is_in_procfs && !is_trusted(&found) {
            return match is_last {
                true => self.finish(component, true).map(Some),
                false => Err(self.foreign_link_error(&component, &found)),
            };
        }
        if is_in_procfs && is_last && !self.leads_to_regular_file(&component) {
            return self.finish(component, false).map(Some);
        }
        self.followed_links += 1;
        if self.followed_links > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = readlinkat(&link, "", Vec::new())?.into_bytes();
        self.prepend(Path::new(&OsString::from_vec(target)))?;
        Ok(None)
    }

    /// Whether a link of procfs leads to a regular file.
    fn leads_to_regular_file(&self, component: &OsStr) -> bool {
        let found = statat(&self.folder, component, AtFlags::empty());
        found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile)
    }

    fn finish(&mut self, name: OsString, is_replaced: bool) -> io::Result<OutputLocation> {
        let folder = self.folder.try_clone()?;
        let folder_path = std::mem::take(&mut self.folder_path);
        Ok(OutputLocation { folder, folder_path, name, is_replaced })
    }

    fn foreign_link_error(&self, component: &OsStr, found: &Stat) -> io::Error {
        let link = self.folder_path.join(component);
        let sentence = format!(
            "expected a path without symbolic links of other users, but `{}` belongs to user {}",
            link.display(),
            found.st_uid
        );
        io::Error::new(io::ErrorKind::PermissionDenied, sentence)
    }
}

/// Replaces the links in /dev to open files by their targets in procfs, because their owner is not
/// mapped in a user namespace.
fn resolve_standard_stream(path: &Path) -> PathBuf {
    let descriptor = match path.to_str() {
        Some("/dev/stdout") => Some("1"),
        Some("/dev/stderr") => Some("2"),
        Some(text) => text.strip_prefix("/dev/fd/"),
        None => None,
    };
    match descriptor {
        Some(number) => Path::new("/proc/self/fd").join(number),
        None => path.to_owned(),
    }
}

fn is_trusted(found: &Stat) -> bool {
    found.st_uid == geteuid().as_raw() || found.st_uid == 0
}

fn is_procfs(folder: &OwnedFd) -> bool {
    fstatfs(folder).is_ok_and(|found| found.f_type == PROC_SUPER_MAGIC)
}

fn open_folder(at: impl std::os::fd::AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let mut flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if name != "/" {
        flags |= OFlags::NOFOLLOW;
    }
    Ok(openat(at, name, flags, Mode::empty())?)
}

fn directory_error() -> io::Error {
    io::Error::new(io::ErrorKind::IsADirectory, "it is a directory")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{lchown, symlink};

    use super::*;

    /// The user ID of `nobody` on Linux.
    const OTHER_USER: Option<u32> = Some(65_534);

    fn is_root() -> bool {
        if !geteuid().is_root() {
            eprintln!("NOT RUN: only root can give a link to another user");
        }
        geteuid().is_root()
    }

    #[test]
    fn own_symlinks_are_followed_to_their_target() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("deep")).unwrap();
        symlink("deep/../second", at("first")).unwrap();
        symlink(at("deep"), at("way")).unwrap();
        symlink("way/file", at("second")).unwrap();
        let location = OutputLocation::resolve(&at("first")).unwrap();
        assert_eq!(location.folder_path.join(&location.name), at("deep/file"));
        assert!(location.is_replaced);
    }

    #[test]
    fn a_symlink_of_another_user_is_replaced() {
        if !is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        for target in ["/etc/passwd", "/dev/null", "absent"] {
            let link = folder.path().join("link");
            symlink(target, &link).unwrap();
            lchown(&link, OTHER_USER, None).unwrap();
            let location = OutputLocation::resolve(&link).unwrap();
            assert_eq!(location.folder_path.join(&location.name), link);
            assert!(location.is_replaced);
            std::fs::remove_file(&link).unwrap();
        }
        // A trusted link is not followed through a link of another user.
        let (own, other) = (folder.path().join("own"), folder.path().join("other"));
        symlink("/etc/passwd", &other).unwrap();
        lchown(&other, OTHER_USER, None).unwrap();
        symlink("other", &own).unwrap();
        assert_eq!(OutputLocation::resolve(&own).unwrap().name, "other");
    }

    #[test]
    fn a_folder_behind_a_symlink_of_another_user_is_refused() {
        if !is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("way");
        symlink("/etc", &link).unwrap();
        lchown(&link, OTHER_USER, None).unwrap();
        let error = OutputLocation::resolve(&link.join("out.pcap")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("way` belongs to user 65534"), "{error}");
    }

    #[test]
    fn symlink_cycles_and_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        symlink("b", folder.path().join("a")).unwrap();
        symlink("a", folder.path().join("b")).unwrap();
        assert!(OutputLocation::resolve(&folder.path().join("a")).is_err());
        for path in ["/", ".", "..", "/tmp/", "/tmp/.."] {
            let error = OutputLocation::resolve(Path::new(path)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::IsADirectory, "{path}");
        }
        let error = OutputLocation::resolve(Path::new("/etc/passwd/x")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }
}
