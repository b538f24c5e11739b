//! The private Postgres of a run: default configuration, but for where it listens.

use std::{
    fs,
    io::Read,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

/// Runs the server until its standard input ends, which it does however the bench ends; then nothing is left.
const GUARDIAN: &str = r#"
directory=$1; shift
"$@" & server=$!
cat >/dev/null
kill -INT "$server" 2>/dev/null
wait "$server"
rm -rf "$directory"
"#;

/// The superuser's role, and of every connection.
const ROLE: &str = "bench";

/// A server that lives as long as this value.
pub struct Postgres {
    directory: PathBuf,
    guardian: Child,
}

impl Postgres {
    /// Starts a server with these settings beside the defaults.
    pub fn start(name: &str, settings: &[&str]) -> Result<Self> {
        let binaries = binaries()?;
        let account = account()?;
        let directory = std::env::temp_dir().join(format!("bench-{}-{name}", std::process::id()));
        fs::create_dir(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        if let Some(account) = account {
            chown(&directory, Some(account.uid), Some(account.gid))?;
        }
        let data = directory.join("data");
        let initdb = command(&binaries.join("initdb"), &directory, account)
            .args(["-A", "trust", "-U", ROLE, "--no-locale", "-E", "UTF8", "-D"])
            .arg(&data)
            .stdin(Stdio::null())
            .output()?;
        ensure!(
            initdb.status.success(),
            "initdb failed: {}",
            String::from_utf8_lossy(&initdb.stderr)
        );
        let mut command = command(Path::new("/bin/sh"), &directory, account);
        command.args(["-c", GUARDIAN, "guardian"]).arg(&directory);
        command.arg(binaries.join("postgres")).arg("-D").arg(&data);
        command.args(["-c", "listen_addresses="]);
        command.args(["-c", "unix_socket_permissions=0700"]);
        command.arg("-c").arg(format!(
            "unix_socket_directories={}",
            directory.to_string_lossy()
        ));
        for setting in settings {
            command.args(["-c", setting]);
        }
        let log = fs::File::create(directory.join("log"))?;
        let guardian = command
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is for the bench: its end is what the guardian waits for.
            .process_group(0)
            .spawn()?;
        let server = Self {
            directory,
            guardian,
        };
        server.wait()?;
        Ok(server)
    }

    /// The URL of a database, over the socket.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{ROLE}@localhost/{database}?host={}",
            self.directory.display()
        )
    }

    /// Postgres writes `ready` into this file once it takes connections.
    fn wait(&self) -> Result<()> {
        let status = self.directory.join("data/postmaster.pid");
        let deadline = Instant::now() + Duration::from_secs(30);
        while !fs::read_to_string(&status).is_ok_and(|text| text.contains("ready")) {
            if Instant::now() > deadline {
                let mut log = String::new();
                fs::File::open(self.directory.join("log"))?.read_to_string(&mut log)?;
                bail!("Postgres did not start:\n{log}");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.guardian.stdin.take());
        let _ = self.guardian.wait();
    }
}

/// The directory of the newest `initdb` and `postgres`: in PATH, else where distributions put them.
fn binaries() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for (place, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql"),
        ("/usr/local/opt", "postgresql"),
    ] {
        let mut versions: Vec<PathBuf> = fs::read_dir(place)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
            .map(|entry| entry.path().join("bin"))
            .collect();
        versions.sort();
        places.extend(versions.into_iter().rev());
    }
    places
        .into_iter()
        .find(|place| place.join("initdb").is_file() && place.join("postgres").is_file())
        .context("Postgres is not installed; run script/bootstrap")
}

#[derive(Clone, Copy)]
struct Account {
    uid: u32,
    gid: u32,
}

/// Postgres refuses to run as root; then the account `postgres` runs it.
fn account() -> Result<Option<Account>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd")?;
    let account = passwd.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let known = matches!(*fields.first()?, "postgres" | "_postgres");
        known.then_some(Account {
            uid: fields.get(2)?.parse().ok()?,
            gid: fields.get(3)?.parse().ok()?,
        })
    });
    account
        .map(Some)
        .context("root cannot run Postgres, and there is no account `postgres`")
}

/// Without the caller's environment, whose PG* and LC_* variables change what servers do.
fn command(program: &Path, home: &Path, account: Option<Account>) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LC_ALL", "C")
        .current_dir(home);
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    command
}
