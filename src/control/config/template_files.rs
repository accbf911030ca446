//! Finds the files that a CloudFormation template names: nested stacks and included snippets.

use std::cell::Cell;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::file_text::{STANDARD_INPUT_NAME, read_text};

/// The maximum number of files that templates name.
const MAX_FILES: usize = 256;

/// The hint if a file outside the folder of a template is not permitted.
const SANDBOX_HINT: &str = "; the sandbox of replay and explain permits only files in the folder \
                            of the template, or use --no-sandbox";

/// Whether two names mean the same file.
pub(super) fn is_same_file(one: &str, other: &str) -> bool {
    let canonical = |name: &str| std::fs::canonicalize(name).ok();
    one == other || canonical(one).is_some_and(|one| Some(one) == canonical(other))
}

/// Reads files beside templates.
pub(super) struct TemplateFiles {
    is_allowed: bool,
    files_left: Cell<usize>,
}

impl TemplateFiles {
    /// `is_allowed` is false if only the given texts are read.
    pub(super) const fn new(is_allowed: bool) -> Self {
        Self { is_allowed, files_left: Cell::new(MAX_FILES) }
    }

    /// The name and text of the file that the template `template` names by `location`: a path, or
    /// a URL whose path, or the end of it, is the path of a file beside the template.
    ///
    /// # Errors
    /// A reason why there is no file.
    pub(super) fn find(&self, template: &str, location: &str) -> Result<(String, String), String> {
        if !self.is_allowed {
            return Err("files beside a text are not read".to_owned());
        }
        let Some(left) = self.files_left.get().checked_sub(1) else {
            return Err(format!("expected templates that name at most {MAX_FILES} files"));
        };
        self.files_left.set(left);
        let folder = match template {
            STANDARD_INPUT_NAME => Path::new(""),
            path => Path::new(path).parent().unwrap_or_else(|| Path::new("")),
        };
        let paths: Vec<PathBuf> =
            candidates(location).into_iter().map(|path| folder.join(path)).collect();
        match paths.iter().find(|path| path.is_file()) {
            Some(path) => read_text(path).map_err(|problem| {
                let is_denied =
                    File::open(path).is_err_and(|one| one.kind() == ErrorKind::PermissionDenied);
                let hint = if is_denied { SANDBOX_HINT } else { "" };
                format!("{problem}{hint}")
            }),
            None => {
                let first = paths.first().map(|path| path.display().to_string());
                Err(format!("there is no file {}", first.unwrap_or_default()))
            }
        }
    }
}

/// The relative paths that a location may mean, the longest first.
fn candidates(location: &str) -> Vec<&str> {
    let location = location.strip_prefix("file://").unwrap_or(location);
    let Some((_, rest)) = location.split_once("://") else { return vec![location] };
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let mut paths = Vec::new();
    let mut rest = path;
    while let Some((_, below)) = rest.split_once('/') {
        if !below.is_empty() && !below.split('/').any(|part| part == ".." || part.is_empty()) {
            paths.push(below);
        }
        rest = below;
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_means_the_file_at_the_end_of_its_path() {
        assert_eq!(candidates("./nested.yaml"), ["./nested.yaml"]);
        assert_eq!(
            candidates("https://bucket.s3.amazonaws.com/v1/templates/net.yaml?versionId=3"),
            ["v1/templates/net.yaml", "templates/net.yaml", "net.yaml"]
        );
        assert_eq!(candidates("s3://bucket/net.yaml"), ["net.yaml"]);
        assert!(candidates("https://host/../../etc/").is_empty());
    }

    #[test]
    fn the_number_of_files_is_limited() {
        let files = TemplateFiles::new(true);
        for _ in 0..MAX_FILES {
            assert!(files.find("t.yaml", "nowhere").unwrap_err().contains("no file"));
        }
        assert!(files.find("t.yaml", "nowhere").unwrap_err().contains("at most 256"));
        assert!(TemplateFiles::new(false).find("t.yaml", "x").is_err());
    }
}
