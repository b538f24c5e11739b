//! Postgres: its cluster, how it is started, and whether it answers.

mod cluster;
mod handshake;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::account::Account;
use super::binaries::{PostgresBinaries, Search};
use super::directory::Directory;
use super::error::Error;
use super::lifeline::Locked;
use super::server::{Program, remove_file};
use super::url::percent_encode;

const NAME: &str = "postgres";

/// The superuser's role.
///
/// Not `twelve`: a role's own schema comes first in its search path, so an app's tables would land among ours.
const ROLE: &str = "postgres";

/// Postgres names its socket after the port, which it does not listen on.
const SOCKET: &str = ".s.PGSQL.5432";

/// What differs from Postgres's defaults, on the command line so that it is in one place and holds for old clusters too.
const SETTINGS: [(&str, &str); 13] = [
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    // An outage of the machine may cost the data, an outage of Postgres may not: a commit that was answered is in the kernel's hands when a test kills Postgres.
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("synchronous_commit", "on"),
    // Many tests at once, each with pools of its own.
    ("max_connections", "300"),
    ("shared_buffers", "128MB"),
    ("max_wal_size", "256MB"),
    ("autovacuum", "on"),
    ("log_checkpoints", "off"),
    ("logging_collector", "off"),
    // The same on every machine, whatever its clock shows.
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
];

#[derive(Debug)]
pub(super) struct Postgres {
    binaries: PostgresBinaries,
    account: Option<Account>,
    socket: PathBuf,
    initdb_log: PathBuf,
}

impl Postgres {
    pub(super) fn find(
        directory: &Directory,
        search: &Search,
        account: Option<&Account>,
    ) -> Result<Self, Error> {
        Ok(Self {
            binaries: search.postgres()?,
            account: account.cloned(),
            socket: directory.socket(NAME, SOCKET)?,
            initdb_log: directory.file("initdb", "log"),
        })
    }
}

/// The URL of a database.
///
/// The host comes as a parameter, which libpq, sqlx and tokio-postgres all understand; `localhost` is there because URL parsers want a host after a user, and is overruled.
pub(super) fn url(directory: &Directory, database: &str) -> String {
    format!(
        "postgres://{ROLE}@localhost/{}?host={}",
        percent_encode(OsStr::new(database)),
        percent_encode(directory.home(NAME).as_os_str()),
    )
}

impl Program for Postgres {
    fn name(&self) -> &'static str {
        NAME
    }

    fn binary(&self) -> &Path {
        &self.binaries.postgres
    }

    fn is_ready(&self) -> bool {
        handshake::is_ready(&self.socket, ROLE)
    }

    fn prepare(
        &self,
        home: &Path,
        pid_file: &Path,
        lifeline: &Locked,
    ) -> Result<Vec<OsString>, Error> {
        let data = cluster::ensure(self, home, lifeline)?;
        // Postgres refuses to start when the process id in one of these belongs to any process of this user, which after a crash it may.
        remove_file(&data.join("postmaster.pid"))?;
        remove_file(&home.join(format!("{SOCKET}.lock")))?;
        remove_file(&self.socket)?;

        let mut arguments: Vec<OsString> = vec!["-D".into(), data.into()];
        let mut set = |name: &str, value: &OsStr| {
            let mut setting = OsString::from(name);
            setting.push("=");
            setting.push(value);
            arguments.extend(["-c".into(), setting]);
        };
        for (name, value) in SETTINGS {
            set(name, OsStr::new(value));
        }
        set("external_pid_file", pid_file.as_os_str());
        set("unix_socket_directories", &quoted(home.as_os_str()));
        Ok(arguments)
    }
}

/// One element of a list: unquoted, a comma in the path would end it.
fn quoted(path: &OsStr) -> OsString {
    let mut quoted = OsString::from("\"");
    quoted.push(path);
    quoted.push("\"");
    quoted
}
