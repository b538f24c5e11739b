//! PgBouncer before a Postgres, pooling transactions: what many hosts put between an app and its database.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

use super::port;
use super::postgres::Postgres;
use super::process::{Launch, Process};
use super::wait::until_true;

/// The first version that keeps prepared statements apart from server connections.
const SINCE: (u32, u32) = (1, 21);

const INSTALLED: [&str; 3] = [
    "pgbouncer",
    "/usr/sbin/pgbouncer",
    concat!(env!("CARGO_MANIFEST_DIR"), "/target/pgbouncer/pgbouncer"),
];

/// `server_login_retry`: PgBouncer waits 15 s by default before it tries a Postgres again that was away.
/// `ignore_startup_parameters`: sqlx sends `extra_float_digits` with every connect, which PgBouncer would refuse.
const SETTINGS: &str = "
auth_type = any
pool_mode = transaction
max_prepared_statements = 100
default_pool_size = 40
max_client_conn = 500
server_login_retry = 1
ignore_startup_parameters = extra_float_digits
listen_addr = 127.0.0.1
unix_socket_dir =
";

#[derive(Debug)]
pub(crate) struct Pooler {
    port: u16,
    settings: PathBuf,
    _process: Process,
}

impl Pooler {
    /// The one that `PGBOUNCER` names, else one that is installed or was built by `script/pgbouncer`; or why there is none.
    pub(crate) fn find() -> Result<PathBuf, String> {
        let candidates = match std::env::var_os("PGBOUNCER") {
            Some(named) => vec![PathBuf::from(named)],
            None => INSTALLED.map(PathBuf::from).to_vec(),
        };
        let with_version = |binary: PathBuf| Some((version_of(&binary)?, binary));
        let newest = candidates.into_iter().filter_map(with_version).max();
        match newest {
            None => Err("there is no PgBouncer; script/pgbouncer builds one".to_owned()),
            Some(((major, minor), _)) if (major, minor) < SINCE => Err(format!(
                "PgBouncer is {major}.{minor}, and 1.21 is wanted; script/pgbouncer builds one"
            )),
            Some((_, binary)) => Ok(binary),
        }
    }

    /// Starts it before this server, which listens on a socket.
    pub(crate) async fn before(postgres: &Postgres) -> Self {
        Self::before_with(postgres, "").await
    }

    /// The same with other settings, which win over ours.
    pub(crate) async fn before_with(postgres: &Postgres, others: &str) -> Self {
        let (role, socket) = parts(&postgres.url);
        let port = port::free();
        // Postgres' sockets are open to one account only, and PgBouncer refuses to run as root.
        let account = account_of(Path::new(socket));
        let settings = format!(
            "[databases]\n* = host={socket} port=5432 user={role}\n[pgbouncer]\nlisten_port = {port}\n{account}{SETTINGS}{others}"
        );
        let file = std::env::temp_dir().join(format!("promises-{:08x}.ini", fastrand::u32(..)));
        std::fs::write(&file, settings).expect("write PgBouncer's settings");
        let binary = Self::find().expect("it was looked for before");
        let mut process = Launch::new(&binary)
            .args([file.to_str().expect("a path in UTF-8")])
            .spawn();
        let pooler_url = url_at(port, &postgres.url);
        until_true("PgBouncer", Duration::from_secs(10), async || {
            process.expect_running();
            PgConnection::connect(&pooler_url).await.is_ok()
        })
        .await;
        Self {
            port,
            settings: file,
            _process: process,
        }
    }

    /// The way to the same database through this.
    pub(crate) fn url_of(&self, direct: &str) -> String {
        url_at(self.port, direct)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.settings);
    }
}

pub(super) fn url_at(port: u16, direct: &str) -> String {
    let (role, _) = parts(direct);
    let (place, _) = direct.split_once('?').expect("a URL with a socket");
    let (_, database) = place.rsplit_once('/').expect("a URL with a database");
    format!("postgres://{role}@127.0.0.1:{port}/{database}")
}

/// The role and the directory of the socket in the URL of a private server.
pub(super) fn parts(url: &str) -> (&str, &str) {
    let (_, rest) = url.split_once("://").expect("a URL has a scheme");
    let (role, _) = rest.split_once('@').expect("a URL with a role");
    let (_, socket) = url.split_once("?host=").expect("a URL with a socket");
    assert!(!socket.contains(['%', '&']), "not a plain path: {socket}");
    (role, socket)
}

/// The line that names the account which owns the directory, when this is root's process.
fn account_of(directory: &Path) -> String {
    let uid = std::fs::metadata(directory)
        .expect("the socket's directory")
        .uid();
    if !rustix::process::geteuid().is_root() {
        return String::new();
    }
    let passwd = std::fs::read_to_string("/etc/passwd").expect("read /etc/passwd");
    let owner = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then_some(name)
    });
    format!("user = {}\n", owner.expect("an account"))
}

/// From `PgBouncer 1.24.1`.
fn version_of(binary: &Path) -> Option<(u32, u32)> {
    let printed = Command::new(binary).arg("--version").output().ok()?;
    let printed = String::from_utf8(printed.stdout).ok()?;
    let version = printed.lines().next()?.strip_prefix("PgBouncer ")?;
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[test]
fn the_way_through_a_pooler_leads_to_the_same_database() {
    let direct = "postgres://postgres@localhost/orders?host=/tmp/pg";
    assert_eq!(
        url_at(6432, direct),
        "postgres://postgres@127.0.0.1:6432/orders"
    );
}
