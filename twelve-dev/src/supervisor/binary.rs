//! Notices that the binary on disk is another one.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::sleep;

/// How often the file is looked at; a change counts when two looks in a row saw the same.
///
/// A linker writes for a while, and cargo replaces the file by a hard link: half a binary must not be started.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The binary that was seen last.
#[derive(Debug)]
pub(super) struct Binary {
    path: PathBuf,
    seen: Option<Version>,
}

/// What tells one build from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Binary {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            seen: look(path).ok(),
            path: path.to_owned(),
        }
    }

    /// Resolves when there is another binary at the path, whole and executable.
    pub(super) async fn changed(&mut self) {
        let mut before = self.seen;
        loop {
            sleep(LOOK_EVERY).await;
            let now = look(&self.path).ok();
            if now.is_some() && now == before && now != self.seen {
                self.seen = now;
                return;
            }
            before = now;
        }
    }
}

fn look(path: &Path) -> io::Result<Version> {
    let file = fs::metadata(path)?;
    if file.permissions().mode() & 0o111 == 0 || file.len() == 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(Version {
        inode: file.ino(),
        length: file.len(),
        modified: (file.mtime(), file.mtime_nsec()),
    })
}
