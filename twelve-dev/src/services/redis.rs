//! Redis: what is asked of it, and how it is started.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::binaries::Search;
use super::directory::Directory;
use super::error::Error;
use super::lifeline::Locked;
use super::server::{Program, remove_file};
use super::url::percent_encode;

/// How many numbered databases there are: one for each test that runs, and more.
pub const DATABASES: u32 = 4096;

const NAME: &str = "redis";

#[derive(Debug)]
pub(super) struct Redis {
    binary: PathBuf,
    socket: PathBuf,
}

impl Redis {
    pub(super) fn find(directory: &Directory, search: &Search) -> Result<Self, Error> {
        Ok(Self {
            binary: search.redis()?,
            socket: directory.socket(NAME, "redis.sock")?,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("redis+unix://{}", percent_encode(self.socket.as_os_str()))
    }

    fn ping(&self) -> std::io::Result<bool> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        // A server with too many clients says so with -ERR: it is up all the same. One that loads data says -LOADING.
        Ok(&answer == b"+PONG" || &answer == b"-ERR ")
    }
}

impl Program for Redis {
    fn name(&self) -> &'static str {
        NAME
    }

    fn binary(&self) -> &Path {
        &self.binary
    }

    fn is_ready(&self) -> bool {
        self.ping().unwrap_or(false)
    }

    fn prepare(
        &self,
        home: &Path,
        pid_file: &Path,
        _lifeline: &Locked,
    ) -> Result<Vec<OsString>, Error> {
        remove_file(&self.socket)?;
        let fixed = [
            ("--port", "0"),
            ("--unixsocketperm", "700"),
            // Nothing is written to disk: what tests and development keep in Redis may go.
            ("--save", ""),
            ("--appendonly", "no"),
            ("--daemonize", "no"),
            // To standard output, which is the log.
            ("--logfile", ""),
        ];
        let databases = DATABASES.to_string();
        let databases = [("--databases", databases.as_str())];
        let paths = [
            ("--unixsocket", self.socket.as_path()),
            ("--dir", home),
            ("--pidfile", pid_file),
        ];
        let fixed = fixed.into_iter().chain(databases);
        let fixed = fixed.map(|(name, value)| [name.into(), value.into()]);
        let paths = paths.map(|(name, path)| [name.into(), path.into()]);
        Ok(fixed.chain(paths).flatten().collect())
    }
}
