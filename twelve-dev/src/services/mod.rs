//! Private Postgres and Redis servers for development and tests.
//!
//! `myapp dev` and the test kit start real servers from the binaries that are installed, one set for each worktree, and share them among all processes that ask.
//! Everything here blocks: call it before the runtime starts, or from a thread that may block.
//!
//! # Flow
//!
//! ```text
//!  attach                                  guardian.sh, once a second
//!  ──────                                  ──────────────────────────
//!  create users/PID-N                      forget users whose process is gone
//!  lock `lock`                             no user for ten seconds?
//!  `stopping` there, guardian alive?         mkdir stopping
//!    └─ yes: step back, begin again          look at users/ again
//!  no guardian alive? start one                ├─ someone: rmdir stopping, go on
//!  server not ready? start it                  └─ no one: stop the servers, exit
//!  unlock `lock`
//! ```
//!
//! # Invariants
//!
//! * **No server is stopped under a user.**
//!   A user writes its file and then looks for `stopping`; the guardian makes `stopping` and then looks for users.
//!   Whichever comes second sees the other, so either the guardian goes on or the user waits and starts afresh.
//! * **No server outlives its users for long.**
//!   The guardian runs before the first server starts, in a process group of its own, and looks at processes, not at goodbyes: it also covers SIGKILL of every user.
//!   When the guardian itself is killed, the next `attach` starts another, which adopts the servers.
//! * **A process is alive exactly as long as its lifeline is locked** (see `lifeline.rs`).
//!   Guardian and servers get a locked file as standard input, and the kernel unlocks it when the last of them is gone.
//!   Their process ids are only used to send signals, never to decide whether they live, so a stale file or a reused id misleads nobody.
//! * **A user is alive as long as a process has its process id**, which is in the name of its file.
//!   A reused id keeps the servers for longer; it never stops them under a user.
//! * **Whoever starts or stops a server by request holds `lock`.**
//!   The guardian does not: `stopping` keeps it apart from the rest.
//!
//! # Files
//!
//! ```text
//! {temp}/twelve-{uid}/{hash of the worktree}/
//!   lock               held while servers are started or stopped by request
//!   users/PID-N        one for each `Services`
//!   stopping/          made by the guardian, left behind for the next `attach` to remove
//!   guardian.{sh,pid,lock}
//!   postgres.{log,lock}    postgres/{data-MAJOR/,server.pid,.s.PGSQL.5432}
//!   redis.{log,lock}       redis/{server.pid,redis.sock}
//! ```
//!
//! Only `postgres/` and `redis/` belong to the account that runs the servers, which differs from the caller's when that is root.
//! They are closed to everyone else, because both servers trust whoever reaches their socket.

mod account;
mod binaries;
mod directory;
mod error;
mod guardian;
mod launch;
mod lifeline;
mod postgres;
mod redis;
mod server;
mod url;
mod users;

#[cfg(test)]
mod tests;

use std::thread;
use std::time::{Duration, Instant};

use account::Account;
use binaries::Search;
use guardian::Guardian;
use lifeline::Locked;
use users::User;

pub use directory::Directory;
pub use error::Error;
pub use redis::DATABASES as REDIS_DATABASES;
pub use server::{Server, Stop};

/// The longest wait for a guardian that is just stopping the servers.
///
/// It gives Postgres ten seconds before it kills it; the rest is for a slow machine.
const STOPPING_LIMIT: Duration = Duration::from_mins(1);

/// Which servers a caller needs.
///
/// One whose URL is set in the environment is not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Postgres alone.
    Postgres,
    /// Redis alone.
    Redis,
    /// Postgres and Redis.
    Both,
}

impl Wanted {
    /// The servers that are not named by a URL; `None` when all that are needed are.
    #[doc(hidden)]
    #[must_use]
    pub fn missing(postgres: bool, redis: bool) -> Option<Self> {
        match (postgres, redis) {
            (true, true) => Some(Self::Both),
            (true, false) => Some(Self::Postgres),
            (false, true) => Some(Self::Redis),
            (false, false) => None,
        }
    }
}

/// Private servers; they live as long as any process on this machine holds a `Services` for the same directory.
///
/// They go on for about ten seconds after the last holder is gone, so that a test run whose processes come one after the other starts them once.
///
/// ```no_run
/// # use twelve_dev::services::{Directory, Error, Services, Wanted};
/// # fn main() -> Result<(), Error> {
/// let directory = Directory::of_worktree(".")?;
/// let services = Services::attach(&directory, Wanted::Both)?;
/// println!("{:?} {:?}", services.database_url(), services.redis_url());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Services {
    directory: Directory,
    postgres: Option<Server>,
    redis: Option<Server>,
    database_url: Option<String>,
    redis_url: Option<String>,
    user: User,
}

impl Services {
    /// Attaches to the servers of `directory`, and starts those that do not run.
    ///
    /// # Errors
    ///
    /// When a binary is not installed, when the directory cannot be used safely, and when a server does not answer within 30 s; the error ends with the last lines of its log.
    pub fn attach(directory: &Directory, wanted: Wanted) -> Result<Self, Error> {
        let account = Account::for_servers()?;
        let search = Search::of_system();
        let postgres = match wanted {
            Wanted::Redis => None,
            Wanted::Postgres | Wanted::Both => Some(postgres::Postgres::find(
                directory,
                &search,
                account.as_ref(),
            )?),
        };
        let redis = match wanted {
            Wanted::Postgres => None,
            Wanted::Redis | Wanted::Both => Some(redis::Redis::find(directory, &search)?),
        };
        let database_url = postgres
            .as_ref()
            .map(|_| postgres::url(directory, "postgres"));
        let redis_url = redis.as_ref().map(redis::Redis::url);
        let server = |program| Server::new(program, directory.clone(), account.clone());
        let postgres = postgres.map(|found| server(Box::new(found)));
        let redis = redis.map(|found| server(Box::new(found)));

        let (user, lock) = enter(directory, account.as_ref())?;
        for server in [&postgres, &redis].into_iter().flatten() {
            server.ensure(&lock)?;
        }
        drop(lock);

        Ok(Self {
            directory: directory.clone(),
            postgres,
            redis,
            database_url,
            redis_url,
            user,
        })
    }

    /// The URL of the database `postgres` over the Unix socket, when Postgres was wanted.
    ///
    /// The role is a superuser and may create databases; see [`Services::database_url_of`] for theirs.
    #[must_use]
    pub fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref()
    }

    /// The URL of the database `name`, when Postgres was wanted.
    #[must_use]
    pub fn database_url_of(&self, name: &str) -> Option<String> {
        self.postgres.as_ref()?;
        Some(postgres::url(&self.directory, name))
    }

    /// The URL of Redis over the Unix socket, when Redis was wanted.
    #[must_use]
    pub fn redis_url(&self) -> Option<&str> {
        self.redis_url.as_deref()
    }

    /// The Postgres server, when it was wanted; for tests that stop it or kill it.
    #[must_use]
    pub fn postgres(&self) -> Option<&Server> {
        self.postgres.as_ref()
    }

    /// The Redis server, when it was wanted; for tests that stop it or kill it.
    #[must_use]
    pub fn redis(&self) -> Option<&Server> {
        self.redis.as_ref()
    }

    /// Stops the servers now, and waits until they are gone; leaves them alone when someone else uses them.
    ///
    /// Dropping a `Services` leaves the servers to the guardian, which waits for others to come.
    ///
    /// # Errors
    ///
    /// When a server does not end within 30 s, or its files cannot be read.
    pub fn stop(self) -> Result<(), Error> {
        let Self {
            directory,
            postgres,
            redis,
            user,
            ..
        } = self;
        // Someone who comes after this line waits for the lock, and then starts afresh.
        let lock = Locked::wait(&directory.lock())?;
        drop(user);
        if users::any(&directory)? {
            return Ok(());
        }
        for server in [&postgres, &redis].into_iter().flatten() {
            server.end(Stop::Clean, &lock)?;
        }
        guardian::dismiss(&directory, &lock)
    }
}

/// Registers a user under the watch of a living guardian, and takes the lock.
///
/// The order of the steps is the protocol of the module's documentation.
fn enter(directory: &Directory, account: Option<&Account>) -> Result<(User, Locked), Error> {
    let deadline = Instant::now() + STOPPING_LIMIT;
    loop {
        match try_enter(directory, account) {
            Ok(Some(entered)) => return Ok(entered),
            Ok(None) => {}
            // A private directory was moved away between two steps; what it lies in never is.
            Err(error) if error.is_not_found() && directory.has_place() => {}
            Err(error) => return Err(error),
        }
        if Instant::now() > deadline {
            return Err(Error::stuck(directory.path(), STOPPING_LIMIT));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn try_enter(
    directory: &Directory,
    account: Option<&Account>,
) -> Result<Option<(User, Locked)>, Error> {
    directory.prepare(account)?;
    let user = User::register(directory)?;
    let lock = Locked::wait(&directory.lock())?;
    // Read before anything else: it tells about this directory only if that is still in place below.
    let stopping = directory.stopping().exists();
    if !(lock.is_current()? && user.is_registered()) {
        return Ok(None);
    }
    Ok(match Guardian::ensure(directory, stopping, &lock)? {
        Guardian::Watches => Some((user, lock)),
        Guardian::Stops => None,
    })
}
