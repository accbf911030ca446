//! Checks of files that other users must not read or change: keys, credentials, state.
//!
//! The rules are those of OpenSSH: a secret is rejected if its group or others can read it
//! (`sshkey_perm_ok`), and a file is rejected if another user can replace it through a folder
//! (`StrictModes`). Every user trusts root. Root trusts only root, because the owner of a state
//! file decides where the packets of the host are sent.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

/// Why a file is rejected.
#[derive(Debug)]
pub enum PrivateFileError {
    /// The file cannot be read.
    Io(io::Error),
    /// Other users may read or change the file. The sentence says what is expected.
    Insecure(String),
}

impl From<io::Error> for PrivateFileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a secret. It checks the permissions of the open file, so that the file cannot be replaced
/// between the check and the use.
///
/// # Errors
/// [`PrivateFileError`] if it cannot be read, or if its group or others have any permission.
pub fn read_secret(path: &Path) -> Result<Vec<u8>, PrivateFileError> {
    let mut file = File::open(path)?;
    let found = file.metadata()?;
    let mode = found.mode() & 0o777;
    // A pipe, such as <(...) of a shell, has no permissions of this kind.
    if found.is_file() && mode & 0o077 != 0 {
        return Err(PrivateFileError::Insecure(format!(
            "other users may read it (mode {mode:03o}): expected mode 600: chmod 600 {}",
            path.display()
        )));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Checks that only this user and root can change a file, which need not exist yet. It checks owner
/// and mode of the file, of every folder above it, and of every symbolic link in the path. A folder
/// that others may write to is accepted if it has the sticky bit (`/tmp`), because there only the
/// owner of a file can replace it.
///
/// # Errors
/// [`PrivateFileError`] if others can change it. The sentence says what is expected.
pub fn check_owner_only_writable(path: &Path) -> Result<(), PrivateFileError> {
    let absolute = std::path::absolute(path)?;
    match std::fs::metadata(&absolute) {
        Ok(found) => check_file(&absolute, &found)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    check_components(&absolute)?;
    // The same for the target of links, also if that file does not exist yet.
    let real = resolve_links(absolute);
    let folder = real.parent().unwrap_or(Path::new("/")).canonicalize()?;
    check_components(&folder.join("file"))
}

/// The path of a file after all symbolic links are followed.
fn resolve_links(mut path: PathBuf) -> PathBuf {
    /// The limit of the kernel (`MAXSYMLINKS` of `linux/namei.h`).
    const MAX_LINKS: usize = 40;
    for _ in 0..MAX_LINKS {
        let Ok(target) = path.read_link() else { break };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    path
}

fn check_file(path: &Path, found: &Metadata) -> Result<(), PrivateFileError> {
    let name = path.display();
    if !is_trusted(found.uid()) {
        let own = geteuid().as_raw();
        return Err(PrivateFileError::Insecure(format!(
            "it belongs to user {}: expected a file of user {own}: chown {own} {name}",
            found.uid()
        )));
    }
    let mode = found.mode() & 0o777;
    if mode & 0o022 != 0 {
        return Err(PrivateFileError::Insecure(format!(
            "other users may write to it (mode {mode:03o}): expected mode 600: chmod 600 {name}"
        )));
    }
    Ok(())
}

/// Checks the folders above a path, and the symbolic links in the path.
fn check_components(path: &Path) -> Result<(), PrivateFileError> {
    for component in path.ancestors() {
        let found = match component.symlink_metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        if found.is_symlink() && !is_trusted(found.uid()) {
            return Err(replaceable_error(
                component,
                "a symbolic link that belongs to another user",
            ));
        }
        if !found.is_dir() {
            continue;
        }
        if !is_trusted(found.uid()) && !is_unmapped(found.uid()) {
            return Err(replaceable_error(component, "a folder that belongs to another user"));
        }
        if found.mode() & 0o022 != 0 && found.mode() & 0o1000 == 0 {
            return Err(replaceable_error(component, "a folder that other users may write to"));
        }
    }
    Ok(())
}

fn replaceable_error(component: &Path, what: &str) -> PrivateFileError {
    PrivateFileError::Insecure(format!(
        "other users may replace it, because `{}` is {what}: expected a folder that only its owner \
         and root can change, such as /var/lib/traffic-mirror with mode 700",
        component.display()
    ))
}

fn is_trusted(owner: u32) -> bool {
    owner == geteuid().as_raw() || owner == 0
}

/// Whether the owner is not mapped into the user namespace. All such users appear as one user
/// (user_namespaces(7)), including root of the host, who owns the topmost folders.
fn is_unmapped(owner: u32) -> bool {
    let read = |path: &str| std::fs::read_to_string(PathBuf::from(path)).unwrap_or_default();
    let overflow = read("/proc/sys/kernel/overflowuid").trim().parse().unwrap_or(65_534);
    let map = read("/proc/self/uid_map");
    let is_whole = map.split_whitespace().nth(2) == Some("4294967295");
    owner == overflow && !map.is_empty() && !is_whole
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions, write};
    use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

    use super::*;

    fn write_with_mode(path: &Path, mode: u32) {
        write(path, "secret").unwrap();
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn message<T: std::fmt::Debug>(result: Result<T, PrivateFileError>) -> String {
        match result.unwrap_err() {
            PrivateFileError::Insecure(message) => message,
            PrivateFileError::Io(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_secret_that_others_can_read_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for mode in [0o644, 0o640, 0o602, 0o666, 0o610] {
            write_with_mode(&path, mode);
            let message = message(read_secret(&path));
            assert!(
                message.contains(&format!("{mode:03o}")) && message.contains("chmod 600"),
                "{message}"
            );
        }
        for mode in [0o600, 0o400] {
            write_with_mode(&path, mode);
            assert_eq!(read_secret(&path).unwrap(), b"secret");
        }
        assert!(matches!(
            read_secret(folder.path()),
            Err(PrivateFileError::Insecure(_) | PrivateFileError::Io(_))
        ));
        assert!(read_secret(Path::new("/dev/null")).unwrap().is_empty());
    }

    #[test]
    fn a_file_that_others_can_write_to_or_replace_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        check_owner_only_writable(&path).unwrap();
        write_with_mode(&path, 0o644);
        check_owner_only_writable(&path).unwrap();
        for mode in [0o664, 0o646] {
            write_with_mode(&path, mode);
            assert!(message(check_owner_only_writable(&path)).contains("may write to it"));
        }
        write_with_mode(&path, 0o600);
        let open = folder.path().join("open");
        create_dir(&open).unwrap();
        let inner = open.join("state");
        for (mode, is_right) in [(0o755, true), (0o1777, true), (0o777, false), (0o775, false)] {
            set_permissions(&open, Permissions::from_mode(mode)).unwrap();
            assert_eq!(check_owner_only_writable(&inner).is_ok(), is_right, "{mode:o}");
        }
        // Through a link, too.
        let link = folder.path().join("link");
        symlink(&inner, &link).unwrap();
        assert!(
            message(check_owner_only_writable(&link))
                .contains("open` is a folder that other users")
        );
    }

    #[test]
    fn files_folders_and_links_of_other_users_are_rejected() {
        if !geteuid().is_root() {
            eprintln!("NOT RUN: only root can give a file to another user");
            return;
        }
        let other = Some(65_534);
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write_with_mode(&at("state"), 0o600);
        symlink(at("state"), at("link")).unwrap();
        check_owner_only_writable(&at("link")).unwrap();
        lchown(at("link"), other, None).unwrap();
        assert!(
            message(check_owner_only_writable(&at("link"))).contains("link` is a symbolic link")
        );
        chown(at("state"), other, None).unwrap();
        assert!(
            message(check_owner_only_writable(&at("state"))).contains("it belongs to user 65534")
        );
        create_dir(at("theirs")).unwrap();
        chown(at("theirs"), other, None).unwrap();
        let message = message(check_owner_only_writable(&at("theirs").join("state")));
        assert!(message.contains("theirs` is a folder that belongs to another user"), "{message}");
    }
}
