//! An output file that gets its final name when it is complete, and has a partial name until then.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::nanoseconds::convert_to_nanoseconds;
use super::output_location::OutputLocation;
use super::partial_file::{DropPolicy, PartialFile};

/// A file, device, pipe or standard output that a capture is written to.
pub struct OutputFile {
    name: String,
    destination: Destination,
}

enum Destination {
    /// A file with a partial name in the folder of its final name.
    Partial(PartialFile),
    /// A device or pipe, which is written to directly.
    Direct(File),
}

impl OutputFile {
    /// Creates an output file with that name; `-` is standard output. An existing device or pipe
    /// (`/dev/null`) is written to directly. A symbolic link is followed if it belongs to the user
    /// who runs the program or to root; a link of another user is replaced by the file.
    ///
    /// An incomplete file has the name `.NAME.traffic-mirror-PID.partial` and is removed when it is
    /// dropped. Incomplete files of killed processes for the same output are removed here.
    ///
    /// # Errors
    /// The error of the system, preceded by the name.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::create_with_policy(path, DropPolicy::Remove)
    }

    /// The same for an output that cannot be recorded again: an incomplete file is kept with the
    /// name `NAME.partial`.
    ///
    /// # Errors
    /// The error of the system, preceded by the name.
    pub fn create_keeping_partial(path: &Path) -> io::Result<Self> {
        Self::create_with_policy(path, DropPolicy::Persist)
    }

    fn create_with_policy(path: &Path, on_drop: DropPolicy) -> io::Result<Self> {
        let name = path.display().to_string();
        if name == "-" {
            return Self::stdout();
        }
        let destination =
            Self::open_destination(path, on_drop).map_err(|error| with_name(&name, &error))?;
        Ok(Self { name, destination })
    }

    /// Not `io::Stdout`, because it searches all output for line breaks.
    fn stdout() -> io::Result<Self> {
        let name = "standard output".to_owned();
        let owned = io::stdout().as_fd().try_clone_to_owned();
        let owned = owned.map_err(|error| with_name(&name, &error))?;
        Ok(Self { name, destination: Destination::Direct(File::from(owned)) })
    }

    fn open_destination(path: &Path, on_drop: DropPolicy) -> io::Result<Destination> {
        let location = OutputLocation::resolve(path)?;
        match location.is_replaced {
            true => PartialFile::create(location, on_drop).map(Destination::Partial),
            false => location.open().map(Destination::Direct),
        }
    }

    /// Whether the output is either complete or absent. A device, a pipe and standard output also
    /// receive incomplete output.
    #[must_use]
    pub fn is_atomic(path: &Path) -> bool {
        let location = OutputLocation::resolve(path);
        path.as_os_str() != "-" && location.is_ok_and(|location| location.is_replaced)
    }

    /// The folder in which the file is created.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub fn folder(path: &Path) -> io::Result<PathBuf> {
        let folder = OutputLocation::resolve(path)?.folder_path;
        Ok(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder })
    }

    /// The name of the output in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path of the file until it is complete; none for a device or pipe.
    #[must_use]
    pub fn partial_path(&self) -> Option<&Path> {
        match &self.destination {
            Destination::Partial(file) => Some(file.path()),
            Destination::Direct(_) => None,
        }
    }

    /// Converts the timestamps of the pcap file that was written so far to nanoseconds. Output that
    /// was written to a device or pipe is not changed.
    pub(super) fn convert_to_nanoseconds(&self) -> io::Result<()> {
        match &self.destination {
            Destination::Partial(file) => convert_to_nanoseconds(file.file()),
            Destination::Direct(_) => Ok(()),
        }
        .map_err(|error| with_name(&self.name, &error))
    }

    /// Writes bytes at an offset, without the file cursor. A device or pipe has no offsets.
    pub(super) fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match &self.destination {
            Destination::Partial(file) => file.file().write_all_at(bytes, offset),
            Destination::Direct(_) => Err(io::ErrorKind::NotSeekable.into()),
        }
        .map_err(|error| with_name(&self.name, &error))
    }

    /// Gives the file its final name. Without this call the file is removed, unless it was created
    /// by [`create_keeping_partial`](Self::create_keeping_partial) or the process was killed.
    ///
    /// # Errors
    /// The error of the system, preceded by the name.
    pub fn commit(mut self) -> io::Result<()> {
        self.flush()?;
        match self.destination {
            Destination::Partial(file) => {
                file.persist().map_err(|error| with_name(&self.name, &error))
            }
            Destination::Direct(_) => Ok(()),
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.destination {
            Destination::Partial(file) => file.file_mut().write(bytes),
            Destination::Direct(file) => file.write(bytes),
        };
        written.map_err(|error| with_name(&self.name, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = match &mut self.destination {
            Destination::Partial(file) => file.file_mut().flush(),
            Destination::Direct(file) => file.flush(),
        };
        flushed.map_err(|error| with_name(&self.name, &error))
    }
}

fn with_name(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_complete_file_gets_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcap");
        let mut out = OutputFile::create(&path).unwrap();
        out.write_all(b"whole").unwrap();
        assert!(!path.exists());
        out.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names_in(folder.path()), ["out.pcap"]);
        // The permissions are those of a file that any other program creates.
        let other = folder.path().join("other");
        fs::write(&other, b"").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&other));
    }

    #[test]
    fn an_incomplete_file_is_removed_and_keeps_the_old_file() {
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
    fn an_incomplete_file_is_kept_under_a_partial_name_on_request() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcap");
        for name in ["out.pcap.partial", "out.pcap.partial-"] {
            let mut out = OutputFile::create_keeping_partial(&path).unwrap();
            out.write_all(b"half").unwrap();
            let partial = out.partial_path().unwrap().to_path_buf();
            drop(out);
            assert!(partial.to_str().unwrap().contains(name), "{}", partial.display());
            assert_eq!(fs::read(partial).unwrap(), b"half");
        }
        assert_eq!(names_in(folder.path()).len(), 2);
        OutputFile::create_keeping_partial(&path).unwrap().commit().unwrap();
        assert_eq!(names_in(folder.path()).len(), 3);
    }

    #[test]
    fn the_longest_possible_file_name_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x".repeat(255));
        let out = OutputFile::create_keeping_partial(&path).unwrap();
        assert!(out.partial_path().unwrap().to_str().unwrap().contains(".partial-"));
        out.commit().unwrap();
        assert!(path.exists());
    }

    #[test]
    fn writing_through_a_symlink_replaces_its_target() {
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
    fn device_files_are_written_directly() {
        let mut out = OutputFile::create(Path::new("/dev/null")).unwrap();
        out.write_all(b"gone").unwrap();
        out.commit().unwrap();
        let mut out = OutputFile::create(Path::new("/dev/full")).unwrap();
        let error = out.write_all(b"too much").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().starts_with("/dev/full: "), "{error}");
    }

    #[test]
    fn a_write_error_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let error = OutputFile::create(folder.path()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        let path = folder.path().join("none/out.pcap");
        let error = OutputFile::create(&path).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    }
}
