//! A file that gets its name when it is complete, and is called `FILE.partial` until then.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::refine::refine;

/// Where a capture is written to.
pub struct OutputFile {
    name: String,
    place: Place,
}

enum Place {
    /// Beside the final name, until it is complete.
    Partial(NamedTempFile, PathBuf),
    /// A device or pipe, which has no name to take at the end.
    Direct(File),
}

impl OutputFile {
    /// Opens a place for a file of that name; `-` is standard output. What is there already and
    /// is no regular file (`/dev/null`, a pipe) is written to directly.
    ///
    /// # Errors
    /// Whatever the system says, with the name in front.
    pub fn create(path: &Path) -> io::Result<Self> {
        let name = path.display().to_string();
        if name == "-" {
            return Self::stdout();
        }
        let place = Self::place(path).map_err(|error| said_of(&name, &error))?;
        Ok(Self { name, place })
    }

    /// Not through `io::Stdout`, which looks for the ends of lines in all that it is given.
    fn stdout() -> io::Result<Self> {
        let name = "standard output".to_owned();
        let owned = io::stdout().as_fd().try_clone_to_owned();
        let owned = owned.map_err(|error| said_of(&name, &error))?;
        Ok(Self { name, place: Place::Direct(File::from(owned)) })
    }

    fn place(path: &Path) -> io::Result<Place> {
        match path.metadata() {
            Ok(known) if known.is_dir() => {
                return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
            }
            Ok(known) if !known.is_file() => {
                return OpenOptions::new().write(true).open(path).map(Place::Direct);
            }
            _ => {}
        }
        // Through a link the file that it names is replaced, not the link.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        Ok(Place::Partial(partial_file(&path)?, path))
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name that the file has until it is complete; none for a device or pipe.
    #[must_use]
    pub fn partial_path(&self) -> Option<&Path> {
        match &self.place {
            Place::Partial(file, _) => Some(file.path()),
            Place::Direct(_) => None,
        }
    }

    /// From now on an incomplete file stays, under its name `FILE.partial`.
    pub fn keep_partial(&mut self) {
        if let Place::Partial(file, _) = &mut self.place {
            file.disable_cleanup(true);
        }
    }

    /// Turns the times of the pcap file that was written so far into nanoseconds. What is written
    /// to a device or pipe stays as it is.
    pub(super) fn refine(&mut self) -> io::Result<()> {
        match &self.place {
            Place::Partial(file, _) => refine(file.as_file()),
            Place::Direct(_) => Ok(()),
        }
        .map_err(|error| said_of(&self.name, &error))
    }

    /// Gives the file its name. Without this, nothing of it stays, unless
    /// [`keep_partial`](Self::keep_partial) was called or the process was killed.
    ///
    /// # Errors
    /// Whatever the system says, with the name in front.
    pub fn commit(mut self) -> io::Result<()> {
        self.flush()?;
        match self.place {
            Place::Partial(file, path) => {
                file.persist(path).map(drop).map_err(|error| said_of(&self.name, &error.error))
            }
            Place::Direct(_) => Ok(()),
        }
    }
}

/// Creates `FILE.partial` in the folder of the file. Where that name is taken, by a process that
/// was killed or one that still writes, six random characters follow. Where a name so long is not
/// allowed, the file's own name is left out.
fn partial_file(path: &Path) -> io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let create = |prefix: &OsString, random: usize| {
        // The kernel takes the user's mask away from these.
        let permissions = Permissions::from_mode(0o666);
        let mut builder = Builder::new();
        builder.prefix(prefix).rand_bytes(random).permissions(permissions).tempfile_in(folder)
    };
    let mut prefix = path.file_name().unwrap_or_default().to_os_string();
    prefix.push(".partial");
    let first = create(&prefix, 0);
    match first.as_ref().map_err(io::Error::kind) {
        Err(io::ErrorKind::AlreadyExists) => {
            prefix.push("-");
            create(&prefix, 6)
        }
        Err(io::ErrorKind::InvalidFilename) => create(&"traffic-mirror.partial-".into(), 6),
        _ => first,
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.place {
            Place::Partial(file, _) => file.as_file_mut().write(bytes),
            Place::Direct(file) => file.write(bytes),
        };
        written.map_err(|error| said_of(&self.name, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = match &mut self.place {
            Place::Partial(file, _) => file.as_file_mut().flush(),
            Place::Direct(file) => file.flush(),
        };
        flushed.map_err(|error| said_of(&self.name, &error))
    }
}

fn said_of(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_takes_its_name_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcap");
        let mut out = OutputFile::create(&path).unwrap();
        out.write_all(b"whole").unwrap();
        assert!(!path.exists());
        out.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names_in(folder.path()), ["out.pcap"]);
        // As open enough as a file that any other program made.
        let other = folder.path().join("other");
        fs::write(&other, b"").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&other));
    }

    #[test]
    fn a_file_that_is_not_whole_leaves_nothing_and_spoils_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcap");
        fs::write(&path, b"older").unwrap();
        let mut out = OutputFile::create(&path).unwrap();
        out.write_all(b"half").unwrap();
        drop(out);
        assert_eq!(fs::read(&path).unwrap(), b"older");
        assert_eq!(names_in(folder.path()), ["out.pcap"]);
    }

    #[test]
    fn a_file_that_is_not_whole_stays_under_a_name_that_says_so_where_that_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcap");
        for name in ["out.pcap.partial", "out.pcap.partial-"] {
            let mut out = OutputFile::create(&path).unwrap();
            out.keep_partial();
            out.write_all(b"half").unwrap();
            let partial = out.partial_path().unwrap().to_path_buf();
            drop(out);
            assert!(partial.to_str().unwrap().contains(name), "{}", partial.display());
            assert_eq!(fs::read(partial).unwrap(), b"half");
        }
        assert_eq!(names_in(folder.path()).len(), 2);
        let mut out = OutputFile::create(&path).unwrap();
        out.keep_partial();
        out.commit().unwrap();
        assert_eq!(names_in(folder.path()).len(), 3);
    }

    #[test]
    fn the_longest_name_that_a_folder_allows_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x".repeat(255));
        let out = OutputFile::create(&path).unwrap();
        assert!(out.partial_path().unwrap().to_str().unwrap().contains(".partial-"));
        out.commit().unwrap();
        assert!(path.exists());
    }

    #[test]
    fn through_a_link_the_file_behind_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&path, b"older").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut out = OutputFile::create(&link).unwrap();
        out.write_all(b"newer").unwrap();
        out.commit().unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"newer");
    }

    #[test]
    fn devices_are_written_to_as_they_are() {
        let mut out = OutputFile::create(Path::new("/dev/null")).unwrap();
        out.write_all(b"gone").unwrap();
        out.commit().unwrap();
        let mut out = OutputFile::create(Path::new("/dev/full")).unwrap();
        let error = out.write_all(b"too much").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().starts_with("/dev/full: "), "{error}");
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = OutputFile::create(folder.path()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        let path = folder.path().join("none/out.pcap");
        let error = OutputFile::create(&path).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    }
}
