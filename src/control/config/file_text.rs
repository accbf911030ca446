//! Reads the text of a configuration file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::problem::{Location, Problem, ProblemKind};

/// The path that means standard input.
const STANDARD_INPUT: &str = "-";

/// The name of standard input in messages.
pub(super) const STANDARD_INPUT_NAME: &str = "standard input";

/// At most this many bytes are read of a file, which can be an endless device.
const MAX_FILE_LEN: u64 = 1 << 28;

/// The name of a file in messages, and its text.
///
/// # Errors
/// The problem of the whole file.
pub(super) fn read_text(path: &Path) -> Result<(String, String), Box<Problem>> {
    let name = match is_standard_input(path) {
        true => STANDARD_INPUT_NAME.to_owned(),
        false => path.display().to_string(),
    };
    match read_file(path) {
        Ok(bytes) => decode(&name, bytes).map(|text| (name, text)),
        Err(error) => {
            let message = format!("cannot read the configuration: {error}");
            Err(Box::new(file_problem(name, None, message)))
        }
    }
}

/// A problem of a whole file.
pub(super) fn file_problem(
    file: String,
    line_and_column: Option<(usize, usize)>,
    message: String,
) -> Problem {
    let location = Location { file, line_and_column };
    let (path, field) = (String::new(), String::new());
    Problem { location, path, field, kind: ProblemKind::Note(message) }
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == STANDARD_INPUT
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if is_standard_input(path) {
        return read_limited(io::stdin().lock());
    }
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::IsADirectory,
            "expected a file, got a directory",
        ));
    }
    read_limited(file)
}

fn read_limited(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read_len = file.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read_len).is_ok_and(|len| len > MAX_FILE_LEN) {
        let message = "expected at most 256 MiB";
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

fn decode(name: &str, bytes: Vec<u8>) -> Result<String, Box<Problem>> {
    if bytes.starts_with(ZIP_SIGNATURE) {
        let message = "expected text, got a ZIP archive: convert a plan of Terraform with \
                       `terraform show -json`";
        return Err(Box::new(file_problem(name.to_owned(), None, message.to_owned())));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid_len = error.utf8_error().valid_up_to();
        let valid = error.as_bytes().get(..valid_len).unwrap_or_default();
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        let last_line = valid.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let column = String::from_utf8_lossy(last_line).chars().count() + 1;
        let invalid = error.as_bytes().get(valid_len).copied().unwrap_or_default();
        let message = format!("expected UTF-8 text, got the invalid byte {invalid:#04x}");
        Box::new(file_problem(name.to_owned(), Some((line, column)), message))
    })
}

/// The first bytes of a ZIP archive, which is the format of a plan file of Terraform.
const ZIP_SIGNATURE: &[u8] = b"PK\x03\x04";
