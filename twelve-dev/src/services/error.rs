//! What can go wrong, each with its remedy.

use std::error;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many lines of a log an error quotes.
const QUOTED_LINES: usize = 20;

/// Why private servers could not be had.
#[derive(Debug)]
pub struct Error(Kind);

#[derive(Debug)]
enum Kind {
    Missing {
        what: &'static str,
        apt: &'static str,
        brew: &'static str,
        variable: &'static str,
    },
    NoAccount,
    Closed {
        path: PathBuf,
        account: String,
    },
    Refused {
        path: PathBuf,
        problem: &'static str,
    },
    TooLong {
        path: PathBuf,
        limit: usize,
    },
    Stuck {
        path: PathBuf,
        limit: Duration,
    },
    Failed {
        server: &'static str,
        problem: &'static str,
        log: PathBuf,
        directory: PathBuf,
        quote: String,
    },
    Io {
        verb: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl Error {
    /// Whether a server is not installed.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self.0, Kind::Missing { .. })
    }

    pub(super) fn is_not_found(&self) -> bool {
        matches!(&self.0, Kind::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    pub(super) fn postgres_missing() -> Self {
        Self(Kind::Missing {
            what: "Postgres is not installed: no directory of PATH, nor /usr/lib/postgresql/*/bin, has both `initdb` and `postgres`",
            apt: "postgresql",
            brew: "postgresql@17",
            variable: "DATABASE_URL",
        })
    }

    pub(super) fn redis_missing() -> Self {
        Self(Kind::Missing {
            what: "Redis is not installed: no directory of PATH has `redis-server` or `valkey-server`",
            apt: "redis-server",
            brew: "redis",
            variable: "REDIS_URL",
        })
    }

    pub(super) fn no_account() -> Self {
        Self(Kind::NoAccount)
    }

    pub(super) fn closed(path: &Path, account: &str) -> Self {
        Self(Kind::Closed {
            path: path.to_owned(),
            account: account.to_owned(),
        })
    }

    pub(super) fn refused(path: &Path, problem: &'static str) -> Self {
        Self(Kind::Refused {
            path: path.to_owned(),
            problem,
        })
    }

    pub(super) fn too_long(path: PathBuf, limit: usize) -> Self {
        Self(Kind::TooLong { path, limit })
    }

    pub(super) fn stuck(path: &Path, limit: Duration) -> Self {
        Self(Kind::Stuck {
            path: path.to_owned(),
            limit,
        })
    }

    pub(super) fn failed(
        server: &'static str,
        problem: &'static str,
        log: &Path,
        directory: &Path,
    ) -> Self {
        Self(Kind::Failed {
            server,
            problem,
            log: log.to_owned(),
            directory: directory.to_owned(),
            quote: quote(log),
        })
    }

    pub(super) fn io(verb: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self(Kind::Io {
            verb,
            path: path.into(),
            source,
        })
    }
}

/// The last lines of a log, read at once: later they may be those of another server.
fn quote(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(QUOTED_LINES);
    lines[start..].join("\n")
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Missing {
                what,
                apt,
                brew,
                variable,
            } => write!(
                f,
                "{what}; install it with `apt-get install {apt}` or `brew install {brew}`, or set {variable} to a server of yours"
            ),
            Kind::NoAccount => f.write_str(
                "found no account for the servers in /etc/passwd, and Postgres refuses to run as root; create the user `postgres`, or set DATABASE_URL and REDIS_URL to servers of yours",
            ),
            Kind::Closed { path, account } => write!(
                f,
                "{} is closed to the user `{account}`, who runs the servers because Postgres refuses root; set TMPDIR to a directory that is open to it, such as /tmp",
                path.display()
            ),
            Kind::Refused { path, problem } => write!(
                f,
                "refuse to use {}: {problem}; remove it, or set TMPDIR to a directory of your own",
                path.display()
            ),
            Kind::TooLong { path, limit } => write!(
                f,
                "the path of the socket {} has {} bytes, and the system allows {limit}; set TMPDIR to a directory with a shorter path, such as /tmp",
                path.display(),
                path.as_os_str().len()
            ),
            Kind::Stuck { path, limit } => write!(
                f,
                "the guardian of {} has been stopping servers for {} s; end the processes that `ps ax` shows with this path, then try again",
                path.display(),
                limit.as_secs()
            ),
            Kind::Failed {
                server,
                problem,
                log,
                directory,
                quote,
            } => {
                write!(
                    f,
                    "{server} {problem}; if it is not clear why, remove {} and try again; the last lines of {}:\n{quote}",
                    directory.display(),
                    log.display()
                )
            }
            Kind::Io { verb, path, .. } => write!(f, "could not {verb} {}", path.display()),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0 {
            Kind::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
