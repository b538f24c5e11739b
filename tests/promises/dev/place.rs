//! A directory with the shop in it, and a supervisor that runs there.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::harness::binaries;
use crate::harness::database::Database;
use crate::harness::http::{Request, send};
use crate::harness::port;
use crate::harness::process::{Launch, Process};
use crate::harness::shop::{NO_REDIS, PAYMENTS_KEY};
use crate::harness::wait::{until, until_true};

/// Until everything runs, from nothing, on a busy machine; how fast it can be is measured elsewhere.
pub(super) const UP: Duration = Duration::from_secs(40);

/// How many process types the shop has at most.
const TYPES: u16 = 12;

/// A directory of its own: temporary files, private servers and the binary lie in it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
}

/// A supervisor that runs in a place.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) process: Process,
    pub(super) base: u16,
}

impl Place {
    pub(super) fn new() -> Self {
        // Short, for sockets lie below it.
        let path = std::env::temp_dir().join(format!("dev-{:08x}", fastrand::u32(..)));
        fs::create_dir(&path).expect("create a directory");
        let place = Self { path };
        place.put_binary();
        place
    }

    pub(super) fn binary(&self) -> PathBuf {
        self.path.join("shop")
    }

    /// Puts the shop there anew, as a build does: another file takes the name.
    pub(super) fn put_binary(&self) {
        self.replace_binary(|new| {
            fs::copy(binaries::shop(), new).expect("copy the shop");
        });
    }

    /// Puts a script in the place of the shop.
    pub(super) fn put_script(&self, script: &str) {
        self.replace_binary(|new| {
            // With the shop's own permission to be run.
            fs::copy(binaries::shop(), new).expect("copy the shop");
            fs::write(new, script).expect("write a script");
        });
    }

    fn replace_binary(&self, put: impl FnOnce(&PathBuf)) {
        let new = self.path.join("new");
        put(&new);
        fs::rename(&new, self.binary()).expect("rename the binary");
    }

    /// The command line of the shop here; nothing outside is used but what `DATABASE_URL` says.
    pub(super) fn launch<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Launch {
        Launch::new(&self.binary())
            .args(arguments)
            .directory(&self.path)
            .var("TMPDIR", self.path.display().to_string())
            .var("PAYMENTS_KEY", PAYMENTS_KEY)
            .var("REPORTS_TO", "reports@example.com")
    }

    /// `dev` on a database that exists already, which saves the start of a private server.
    pub(super) async fn dev_on(&self, database: &Database, arguments: &[&str]) -> Supervisor {
        let launch = self.launch([]).var("DATABASE_URL", &*database.url);
        let launch = launch.var("REDIS_URL", NO_REDIS);
        let mut dev = supervise(launch, "dev", arguments);
        dev.until_ready().await;
        dev
    }

    pub(super) fn dev(&self, arguments: &[&str]) -> Supervisor {
        supervise(self.launch([]), "dev", arguments)
    }

    /// Does any process run here?
    fn is_empty(&self) -> bool {
        let pattern = self.path.display().to_string();
        let found = Command::new("pgrep").args(["-f", &pattern]).output();
        let found = found.expect("run pgrep, from the package procps");
        found.stdout.is_empty()
    }

    /// Waits until nothing runs here any more.
    pub(super) async fn until_empty(&self, bound: Duration) {
        until_true("every process to be gone", bound, async || self.is_empty()).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

pub(super) fn supervise(launch: Launch, word: &str, arguments: &[&str]) -> Supervisor {
    let base = free_base();
    let launch = launch.args([word, "--port", &base.to_string()]);
    Supervisor {
        process: launch.args(arguments.iter().copied()).spawn(),
        base,
    }
}

/// A base port with nobody on any port that the shop's process types would get.
pub(super) fn free_base() -> u16 {
    loop {
        let base = port::free();
        let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if (0..TYPES).all(|index| free(base + index * 100)) {
            return base;
        }
    }
}

impl Supervisor {
    pub(super) async fn until_ready(&mut self) {
        self.until_said("ready after", UP).await;
    }

    /// Waits until its log holds this.
    pub(super) async fn until_said(&mut self, text: &str, bound: Duration) {
        until_true(&format!("{text:?} in the log"), bound, async || {
            self.process.expect_running();
            self.process.log().contains(text)
        })
        .await;
    }

    /// The process id of one child, as it says itself.
    pub(super) async fn pid_of(&self, place: &Place, process_type: &str) -> i32 {
        until("the process's id", UP, async || {
            let found = Command::new("pgrep")
                .args([
                    "-f",
                    &format!("{} {process_type}$", place.binary().display()),
                ])
                .output()
                .expect("run pgrep");
            String::from_utf8_lossy(&found.stdout).trim().parse().ok()
        })
        .await
    }

    pub(super) async fn serves(&self, port: u16) -> bool {
        send(port, &Request::get("/health"))
            .await
            .is_ok_and(|answer| answer.status == 200)
    }
}
