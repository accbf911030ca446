//! A file that appears under its name whole, or not at all.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// Where a capture is written to.
pub struct OutputFile {
    name: String,
    place: Place,
}

enum Place {
    /// Beside the final name, until it is whole.
    Temporary(NamedTempFile, PathBuf),
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
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // The kernel takes the user's mask away from these.
        let permissions = Permissions::from_mode(0o666);
        let file = Builder::new()
            .prefix(".traffic-mirror-")
            .permissions(permissions)
            .tempfile_in(folder)?;
        Ok(Place::Temporary(file, path))
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the file its name. Without this, nothing of it stays.
    ///
    /// # Errors
    /// Whatever the system says, with the name in front.
    pub fn commit(mut self) -> io::Result<()> {
        self.flush()?;
        match self.place {
            Place::Temporary(file, path) => {
                file.persist(path).map(drop).map_err(|error| said_of(&self.name, &error.error))
            }
            Place::Direct(_) => Ok(()),
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.place {
            Place::Temporary(file, _) => file.as_file_mut().write(bytes),
            Place::Direct(file) => file.write(bytes),
        };
        written.map_err(|error| said_of(&self.name, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = match &mut self.place {
            Place::Temporary(file, _) => file.as_file_mut().flush(),
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
