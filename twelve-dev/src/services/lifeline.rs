//! A lock that a process holds as long as it lives.
//!
//! `flock(2)` belongs to the open file, not to the process that asked for it.
//! A child that inherits the file as standard input therefore holds the lock too, and so do the child's children, until the last of them is gone, however it ended.
//! That answers "is it alive?" without process ids, which are reused, and without a process in between that could be killed by itself.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::private;

/// A file that is locked as long as this value, or a process that got it as standard input, lives.
#[derive(Debug)]
pub(super) struct Locked {
    file: File,
    path: PathBuf,
}

impl Locked {
    /// Waits for the lock at `path`.
    ///
    /// The wait has no bound of its own, since all that is done under a lock has one, and the kernel frees it when its holder dies.
    pub(super) fn wait(path: &Path) -> Result<Self, Error> {
        let file = open(path)?;
        file.lock()
            .map_err(|source| Error::io("lock", path, source))?;
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// Takes the lock at `path` when nobody has it.
    pub(super) fn take(path: &Path) -> Result<Option<Self>, Error> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self {
                file,
                path: path.to_owned(),
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(Error::io("lock", path, source)),
        }
    }

    /// Whether someone has the lock at `path`.
    ///
    /// It asks for a shared lock, so that two who ask do not take each other for the holder.
    pub(super) fn is_held(path: &Path) -> Result<bool, Error> {
        match open(path)?.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(source)) => Err(Error::io("lock", path, source)),
        }
    }

    /// Whether the locked file still is the one at its path; a lock on a removed file keeps nobody out.
    pub(super) fn is_current(&self) -> Result<bool, Error> {
        let locked = self
            .file
            .metadata()
            .map_err(|source| Error::io("look at", &self.path, source))?;
        match fs::metadata(&self.path) {
            Ok(found) => Ok((found.dev(), found.ino()) == (locked.dev(), locked.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(Error::io("look at", &self.path, source)),
        }
    }

    /// The same open file, for the standard input of a child that shares the lock.
    pub(super) fn share(&self) -> Result<File, Error> {
        self.file
            .try_clone()
            .map_err(|source| Error::io("share", &self.path, source))
    }
}

fn open(path: &Path) -> Result<File, Error> {
    private::open(path).map_err(|source| Error::io("open", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_child_holds_the_lock_that_it_got_as_standard_input_until_it_is_killed() {
        let path = std::env::temp_dir().join(format!("twelve-lifeline-{}", std::process::id()));
        let locked = Locked::take(&path).unwrap().unwrap();
        let mut child = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::from(locked.share().unwrap()))
            .spawn()
            .unwrap();
        drop(locked);
        assert!(Locked::is_held(&path).unwrap());
        assert!(Locked::take(&path).unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!Locked::is_held(&path).unwrap());
        let again = Locked::take(&path).unwrap().unwrap();
        assert!(again.is_current().unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!again.is_current().unwrap());
    }
}
