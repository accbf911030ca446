//! A file that appears under its name whole, or not at all.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
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
    Stdout(io::Stdout),
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
            return Ok(Self {
                name: "standard output".to_owned(),
                place: Place::Stdout(io::stdout()),
            });
        }
        let place = Self::place(path).map_err(|error| said_of(&name, &error))?;
        Ok(Self { name, place })
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
            Place::Direct(_) | Place::Stdout(_) => Ok(()),
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.place {
            Place::Temporary(file, _) => file.as_file_mut().write(bytes),
            Place::Direct(file) => file.write(bytes),
            Place::Stdout(stdout) => stdout.write(bytes),
        };
        written.map_err(|error| said_of(&self.name, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = match &mut self.place {
            Place::Temporary(file, _) => file.as_file_mut().flush(),
            Place::Direct(file) => file.flush(),
            Place::Stdout(stdout) => stdout.flush(),
        };
        flushed.map_err(|error| said_of(&self.name, &error))
    }
}

fn said_of(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
}
