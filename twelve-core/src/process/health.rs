//! Probes for processes without a port: `myapp health` asks every process on this host through a Unix socket.
//!
//! ```text
//! process ── thread "twelve-health" ── {this user's state directory}/APP/TYPE.PID.sock
//! myapp health ── connects to each ──► one line of JSON
//! ```
//!
//! A plain thread answers, so a process whose runtime is blocked still answers, and says that it is not live.

use rustix::process::getuid;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Read, Write},
    os::unix::{
        fs::{DirBuilderExt, MetadataExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process, thread,
    time::Duration,
};

use crate::{config::Environment, error::Error, handler::Context};

/// How long a probe waits for an answer; a stopped process accepts, but never answers.
const PROBE: Duration = Duration::from_secs(1);

/// How long to wait after a probe that could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// What a process says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The process type, such as `worker`.
    pub process_type: String,
    /// The process id.
    pub pid: u32,
    /// Its state: `starting`, `ready`, `announce`, `drain` or `silent`.
    pub state: String,
    /// Does its runtime turn?
    pub live: bool,
    /// How many requests or jobs it runs.
    pub running: usize,
}

impl Report {
    /// Does it take work?
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.live && self.state == "ready"
    }
}

/// Answers probes as long as it lives.
#[derive(Debug)]
pub(crate) struct Probes(Option<PathBuf>);

impl Drop for Probes {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // It may have been removed already.
            let _ = fs::remove_file(path);
        }
    }
}

/// Begins to answer probes. A host without a writable directory costs the probes, not the process.
pub(crate) fn listen(context: &Context) -> Probes {
    match try_listen(context) {
        Ok(path) => Probes(Some(path)),
        Err(error) => {
            tracing::warn!(%error, "`health` cannot see this process: set TWELVE_STATE_DIR to a directory in which its user can make one");
            Probes(None)
        }
    }
}

fn try_listen(context: &Context) -> io::Result<PathBuf> {
    let identity = context.identity();
    let directory = directory(&identity.app, context.environment());
    create_private(&directory)?;
    let path = directory.join(socket(&identity.process_type, process::id()));
    // Renamed into place once it listens: a probe that meets a socket without a listener takes its process for dead, and removes it.
    // It also replaces the socket of a dead process that had the same id.
    let unready = path.with_extension("new");
    let _ = fs::remove_file(&unready);
    let listener = UnixListener::bind(&unready)?;
    fs::rename(&unready, &path)?;
    let context = context.clone();
    thread::Builder::new()
        .name("twelve-health".into())
        .spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else {
                    // No descriptor is free, say: asking again at once would keep a core busy.
                    thread::sleep(PAUSE);
                    continue;
                };
                // A probe that left, or does not read, gets no answer.
                let _ = stream.set_write_timeout(Some(PROBE));
                let _ = writeln!(stream, "{}", answer(&context));
            }
        })?;
    Ok(path)
}

fn answer(context: &Context) -> String {
    let lifecycle = context.lifecycle();
    let report = Report {
        process_type: context.identity().process_type.clone(),
        pid: process::id(),
        state: lifecycle.state().name().into(),
        live: lifecycle.is_live(),
        running: lifecycle.tracker().running().len(),
    };
    serde_json::to_string(&report).unwrap_or_default()
}

/// Asks every process of this app on this host; sockets of dead processes are removed.
///
/// # Errors
///
/// Their directory cannot be read, or belongs to another user, who could answer in their place.
pub fn probe(app: &str, environment: &Environment) -> Result<Vec<Report>, Error> {
    let directory = directory(app, environment);
    let entries = match check_private(&directory).and_then(|()| fs::read_dir(&directory)) {
        Ok(entries) => entries,
        // None has been started yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let message = "the processes of this app cannot be asked: run this as their user, or set TWELVE_STATE_DIR as theirs is";
            return Err(Error::internal(message).with_source(error));
        }
    };
    let mut reports: Vec<Report> = entries
        .flatten()
        .filter_map(|entry| ask(&entry.path()))
        .collect();
    reports.sort_by(|a, b| (&a.process_type, a.pid).cmp(&(&b.process_type, b.pid)));
    Ok(reports)
}

/// Asks one process of this app; `None` when it does not answer probes, or not yet.
#[must_use]
pub fn probe_one(
    app: &str,
    environment: &Environment,
    process_type: &str,
    pid: u32,
) -> Option<Report> {
    let directory = directory(app, environment);
    check_private(&directory).ok()?;
    ask(&directory.join(socket(process_type, pid)))
}

fn socket(process_type: &str, pid: u32) -> String {
    format!("{process_type}.{pid}.sock")
}

fn ask(path: &Path) -> Option<Report> {
    let name = path.file_name()?.to_str()?.strip_suffix(".sock")?;
    let (process_type, pid) = name.rsplit_once('.')?;
    match UnixStream::connect(path) {
        Ok(stream) => Some(read(stream).unwrap_or_else(|_| Report {
            process_type: process_type.into(),
            pid: pid.parse().unwrap_or_default(),
            state: "silent".into(),
            live: false,
            running: 0,
        })),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            // Nothing listens there: the process was killed before it could clean up.
            let _ = fs::remove_file(path);
            None
        }
        Err(_) => None,
    }
}

fn read(mut stream: UnixStream) -> io::Result<Report> {
    stream.set_read_timeout(Some(PROBE))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

/// Where the sockets of an app's processes are: in a directory of this user's own, below `TWELVE_STATE_DIR` or the system's temporary one.
///
/// Those two may belong to somebody else: a volume that is mounted for a process is mostly root's.
fn directory(app: &str, environment: &Environment) -> PathBuf {
    let user = getuid().as_raw();
    let base = match environment.var("TWELVE_STATE_DIR") {
        Some(directory) => PathBuf::from(directory).join(user.to_string()),
        None => std::env::temp_dir().join(format!("twelve-run-{user}")),
    };
    base.join(app)
}

/// Creates the directory for this user alone, whatever the umask is, and refuses one that another user has created.
fn create_private(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    check_private(directory)
}

/// Refuses a directory in which another user could listen: anyone can create one in the system's temporary directory.
fn check_private(directory: &Path) -> io::Result<()> {
    for directory in directory.ancestors().take(2) {
        let link = fs::symlink_metadata(directory)?;
        let found = fs::metadata(directory)?;
        let is_ours = |found: &fs::Metadata| found.uid() == getuid().as_raw();
        // Writable by all, without the sticky bit, by which only owners may rename files.
        let is_open = found.mode() & 0o1002 == 0o002;
        let problem = if !found.is_dir() {
            "is no directory"
        } else if !is_ours(&link) || !is_ours(&found) {
            "belongs to somebody else"
        } else if is_open {
            "may be written by everybody"
        } else {
            continue;
        };
        let message = format!("{} {problem}", directory.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    #[test]
    fn a_directory_in_which_others_could_answer_is_not_believed() {
        let state = std::env::temp_dir().join(format!("twelve-health-{}", process::id()));
        let environment =
            Environment::default().with("TWELVE_STATE_DIR", &*state.to_string_lossy());
        let probed = || probe("shop", &environment);
        assert_eq!(probed().unwrap(), [], "no process has been started");

        // As a volume of Kubernetes' is, and root's besides; another user's, if root runs this.
        fs::create_dir(&state).unwrap();
        fs::set_permissions(&state, Permissions::from_mode(0o777)).unwrap();
        let _ = std::os::unix::fs::chown(&state, Some(1), None);
        let directory = directory("shop", &environment);
        create_private(&directory).unwrap();
        assert_eq!(probed().unwrap(), []);

        let base = directory.parent().unwrap();
        assert_eq!(fs::metadata(base).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(base, Permissions::from_mode(0o777)).unwrap();
        let error = crate::error::chain(&probed().unwrap_err());
        assert!(error.contains("may be written by everybody"), "{error}");
        assert!(create_private(&directory).is_err());
        fs::remove_dir_all(&state).unwrap();

        // The system's own directories belong to root: to somebody else, unless this is root.
        let error = check_private(Path::new("/etc/passwd")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}
