//! Who uses the servers of a directory.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, test_kill_process};

use super::directory::Directory;
use super::error::Error;
use crate::private;

/// A registered user; it is forgotten when this is dropped, or when its process is gone.
///
/// The file is called `PID-N`, since a process may hold several `Services` and drop one of them.
#[derive(Debug)]
pub(super) struct User {
    path: PathBuf,
}

impl User {
    pub(super) fn register(directory: &Directory) -> Result<Self, Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = directory.users().join(format!("{}-{count}", process::id()));
        private::open(&path).map_err(|source| Error::io("create", &path, source))?;
        Ok(Self { path })
    }

    /// Whether the file still is where the guardian looks for it.
    pub(super) fn is_registered(&self) -> bool {
        self.path.exists()
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // If this fails, the guardian does it when the process ends.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether any living process uses the servers of `directory`.
pub(super) fn any(directory: &Directory) -> Result<bool, Error> {
    let users = directory.users();
    let entries = match fs::read_dir(&users) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(Error::io("read", users, source)),
    };
    Ok(entries.flatten().any(|entry| {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.split('-').next());
        pid.and_then(|pid| pid.parse().ok())
            .and_then(Pid::from_raw)
            .is_some_and(|pid| test_kill_process(pid).is_ok())
    }))
}
