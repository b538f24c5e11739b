//! Starts one server, waits for it, stops it.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::account::Account;
use super::directory::Directory;
use super::error::Error;
use super::launch::launch;
use super::lifeline::Locked;

/// How long a server may take until it answers, and until it is gone.
///
/// Postgres replays its log after a crash before it answers.
const LIMIT: Duration = Duration::from_secs(30);

/// The pause between two looks at a server that starts or stops.
const PAUSE: Duration = Duration::from_millis(10);

/// What differs between Postgres and Redis.
pub(super) trait Program: fmt::Debug + Send + Sync {
    /// The name of its files.
    fn name(&self) -> &'static str;

    /// What runs.
    fn binary(&self) -> &Path;

    /// Asks the server over its socket.
    fn is_ready(&self) -> bool;

    /// Clears away what a dead server left in its `home`, creates what it needs, and gives its arguments.
    ///
    /// The caller holds the server's lifeline: nothing of an earlier one lives.
    /// The server must write its process id to `pid_file`.
    fn prepare(
        &self,
        home: &Path,
        pid_file: &Path,
        lifeline: &Locked,
    ) -> Result<Vec<OsString>, Error>;
}

/// How to stop a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Orderly, as an operator would: sessions are ended, data are kept.
    Clean,
    /// By SIGKILL, as a crash would.
    Kill,
}

/// A server that belongs to a [`Services`](super::Services).
///
/// It may be stopped and started by tests, which should do so in a [`Directory::private`] to leave others alone.
#[derive(Debug)]
pub struct Server {
    program: Box<dyn Program>,
    directory: Directory,
    account: Option<Account>,
}

impl Server {
    pub(super) fn new(
        program: Box<dyn Program>,
        directory: Directory,
        account: Option<Account>,
    ) -> Self {
        Self {
            program,
            directory,
            account,
        }
    }

    /// The process id, which is that of the postmaster for Postgres; nothing while it does not run.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        if !Locked::is_held(&self.lifeline()).ok()? {
            return None;
        }
        let text = fs::read_to_string(self.pid_file()).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    /// The file that it logs to; what its predecessor wrote is beside it as `.log.previous`.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory.file(self.program.name(), "log")
    }

    /// Starts it, and waits until it answers; does nothing when it runs.
    ///
    /// # Errors
    ///
    /// When it does not answer within 30 s.
    pub fn start(&self) -> Result<(), Error> {
        self.ensure(&self.lock()?)
    }

    /// Stops it, and waits until all its processes are gone; does nothing when it does not run.
    ///
    /// # Errors
    ///
    /// When it is not gone within 30 s, or may not be signalled.
    pub fn stop(&self, how: Stop) -> Result<(), Error> {
        self.end(how, &self.lock()?)
    }

    fn lock(&self) -> Result<Locked, Error> {
        Locked::wait(&self.directory.lock())
    }

    fn lifeline(&self) -> PathBuf {
        self.directory.file(self.program.name(), "lock")
    }

    fn pid_file(&self) -> PathBuf {
        // The guardian looks for this name.
        self.directory.home(self.program.name()).join("server.pid")
    }

    /// Starts the server unless it is ready; one that is just starting or stopping is waited for.
    pub(super) fn ensure(&self, _lock: &Locked) -> Result<(), Error> {
        let mut deadline = Instant::now() + LIMIT;
        let mut launched = false;
        while !self.program.is_ready() {
            if let Some(lifeline) = Locked::take(&self.lifeline())? {
                if launched {
                    return Err(self.failed("ended before it was ready"));
                }
                self.launch(&lifeline)?;
                launched = true;
                deadline = Instant::now() + LIMIT;
            }
            if Instant::now() > deadline {
                return Err(self.failed("did not answer within 30 s"));
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn launch(&self, lifeline: &Locked) -> Result<(), Error> {
        let name = self.program.name();
        let account = self.account.as_ref();
        let home = self.directory.prepare_home(name, account)?;
        let pid_file = self.pid_file();
        remove_file(&pid_file)?;
        let arguments = self.program.prepare(&home, &pid_file, lifeline)?;
        let log = fresh_log(&self.log())?;
        let binary = self.program.binary();
        launch(binary, &arguments, &home, account, lifeline, Some(log))
    }

    /// Stops the server if it runs.
    pub(super) fn end(&self, how: Stop, _lock: &Locked) -> Result<(), Error> {
        // To both servers SIGINT is an orderly shutdown that does not wait for clients to leave.
        let signal = match how {
            Stop::Clean => Signal::INT,
            Stop::Kill => Signal::KILL,
        };
        let deadline = Instant::now() + LIMIT;
        let mut signalled = false;
        while Locked::is_held(&self.lifeline())? {
            // One that is just starting has no process id to signal yet.
            if !signalled && let Some(pid) = self.pid() {
                self.signal(pid, signal)?;
                signalled = true;
            }
            if Instant::now() > deadline {
                return Err(self.failed("did not end within 30 s"));
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn signal(&self, pid: u32, signal: Signal) -> Result<(), Error> {
        match Pid::from_raw(pid.cast_signed()).map(|pid| kill_process(pid, signal)) {
            None | Some(Ok(()) | Err(rustix::io::Errno::SRCH)) => Ok(()),
            Some(Err(error)) => Err(Error::io("signal", self.pid_file(), error.into())),
        }
    }

    fn failed(&self, problem: &'static str) -> Error {
        Error::failed(
            self.program.name(),
            problem,
            &self.log(),
            self.directory.path(),
        )
    }
}

/// An empty log; the one before is kept, for it may tell why the last server ended.
fn fresh_log(path: &Path) -> Result<File, Error> {
    let previous = path.with_extension("log.previous");
    match fs::rename(path, &previous) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io("rename", path, error));
        }
        _ => {}
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| Error::io("create", path, source))
}

/// Removes what a dead server left, if it is there.
pub(super) fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove", path, error))
        }
        _ => Ok(()),
    }
}
