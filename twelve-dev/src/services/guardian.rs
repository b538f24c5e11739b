//! The process that stops the servers when their last user is gone.
//!
//! It is a shell script, because a library has no binary of its own that it could run beside a test or an app.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::directory::Afterwards;
use super::directory::Directory;
use super::error::Error;
use super::launch::launch;
use super::lifeline::Locked;
use crate::private;

const SCRIPT: &str = include_str!("guardian.sh");

/// How long a guardian may take to end; one that does not is left to end by itself.
const GONE: Duration = Duration::from_secs(1);

/// What the guardian of a directory does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guardian {
    /// It watches, and will not stop the servers under a user who registered before.
    Watches,
    /// It stops the servers: come again when it is gone.
    Stops,
}

impl Guardian {
    /// Starts a guardian when none lives.
    ///
    /// `stopping` tells whether that directory was there after the caller had registered as a user.
    /// It must be read before the lifeline: a guardian that was not stopping then sees the user when it wants to, and goes on.
    pub(super) fn ensure(
        directory: &Directory,
        stopping: bool,
        _lock: &Locked,
    ) -> Result<Self, Error> {
        let lifeline = directory.file("guardian", "lock");
        match Locked::take(&lifeline)? {
            Some(lifeline) => {
                // Whatever `stopping` says: it may have been made, and its maker killed, a moment later.
                forget_the_last(directory)?;
                start(directory, &lifeline)?;
                Ok(Self::Watches)
            }
            None if stopping => Ok(Self::Stops),
            None => Ok(Self::Watches),
        }
    }
}

/// Ends the guardian of servers that were stopped by request, and waits until it is gone.
///
/// The caller holds the lock, so nobody can attach to a directory whose guardian is just ending.
pub(super) fn dismiss(directory: &Directory, _lock: &Locked) -> Result<(), Error> {
    if directory.afterwards == Afterwards::Remove {
        // It has the directory to remove.
        return Ok(());
    }
    let lifeline = directory.file("guardian", "lock");
    let pid = fs::read_to_string(directory.file("guardian", "pid")).ok();
    let pid = pid.and_then(|text| Pid::from_raw(text.trim().parse().ok()?));
    let deadline = Instant::now() + GONE;
    // As long as the lifeline is held the guardian lives, and the id is its own.
    while Locked::is_held(&lifeline)? && Instant::now() < deadline {
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Removes the mark of a guardian that did its work, or was killed at it.
fn forget_the_last(directory: &Directory) -> Result<(), Error> {
    let stopping = directory.stopping();
    match fs::remove_dir(&stopping) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove", stopping, error))
        }
        _ => Ok(()),
    }
}

fn start(directory: &Directory, lifeline: &Locked) -> Result<(), Error> {
    let script = directory.file("guardian", "sh");
    // A guardian of another version may still be reading the old one.
    private::write(&script, SCRIPT).map_err(|source| Error::io("write", &script, source))?;
    let ticks = directory.linger.as_millis() / directory.tick.as_millis().max(1);
    let arguments = [
        script.into_os_string(),
        directory.path().into(),
        ticks.to_string().into(),
        format!("{:.2}", directory.tick.as_secs_f64()).into(),
        OsString::from(match directory.afterwards {
            Afterwards::Keep => "keep",
            Afterwards::Remove => "remove",
        }),
    ];
    // It runs as the caller, root included, for it has to see the users' processes.
    launch(
        Path::new("/bin/sh"),
        &arguments,
        Path::new("/"),
        None,
        lifeline,
        None,
    )
}
