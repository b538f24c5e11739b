//! Files that belong to this user alone.
//!
//! The umask only takes rights away, and under `umask 0` it takes none: then another user could write to what we read back or run.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::{fs::OFlags, process::geteuid};

/// Opens the file, or creates it; nobody else can write to it from now on.
///
/// # Errors
///
/// It belongs to another user, or it is a symbolic link.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = existing()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    if is_ours(&file)?.mode() & 0o7777 != 0o600 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Opens a file to be read.
///
/// # Errors
///
/// Somebody else may have written it, or it is a symbolic link.
#[cfg(any(test, feature = "environment"))]
pub(crate) fn read(path: &Path) -> io::Result<File> {
    let file = existing().open(path)?;
    if is_ours(&file)?.mode() & 0o022 != 0 {
        return Err(refused("others may write to it"));
    }
    Ok(file)
}

/// Writes a file anew: whoever reads it meanwhile sees either the old text or the new one, whole.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    // One that somebody else left open has to stay behind.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    io::Write::write_all(&mut open(&fresh)?, text.as_bytes())?;
    fs::rename(&fresh, path)
}

fn existing() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

fn is_ours(file: &File) -> io::Result<Metadata> {
    let found = file.metadata()?;
    if found.uid() == geteuid().as_raw() {
        Ok(found)
    } else {
        Err(refused("it belongs to another user"))
    }
}

fn refused(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env::temp_dir, os::unix::fs::symlink};

    #[test]
    fn what_others_could_have_written_is_closed_or_refused() {
        let directory = temp_dir().join(format!("twelve-private-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let path = directory.join("some.env");
        let mode = || fs::metadata(&path).unwrap().mode() & 0o7777;

        write(&path, "A='1'\n").unwrap();
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let problem = read(&path).unwrap_err().to_string();
        assert_eq!(problem, "others may write to it");
        open(&path).unwrap();
        assert_eq!(mode(), 0o600);
        assert_eq!(io::read_to_string(read(&path).unwrap()).unwrap(), "A='1'\n");

        // Whoever has the old file open writes to nothing that is read.
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let old = fs::metadata(&path).unwrap().ino();
        write(&path, "A='2'\n").unwrap();
        assert_ne!(fs::metadata(&path).unwrap().ino(), old);
        assert_eq!(mode(), 0o600);

        let link = directory.join("link.env");
        symlink(&path, &link).unwrap();
        assert!(open(&link).is_err() && read(&link).is_err());
        fs::remove_dir_all(directory).unwrap();
    }
}
