//! The data directory, created once for each major version of Postgres.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{NAME, Postgres, ROLE};
use crate::private;
use crate::services::error::Error;
use crate::services::launch::clear_environment;
use crate::services::lifeline::Locked;
use crate::services::server::remove_file;

/// A second or two is usual; a loaded machine takes its time.
const INITDB_LIMIT: Duration = Duration::from_mins(2);

/// The data directory of this version, which `initdb` fills when it is missing.
///
/// A version cannot read the files of another, so each has its own: after an upgrade one starts afresh, and the old data stay.
pub(super) fn ensure(
    postgres: &Postgres,
    home: &Path,
    lifeline: &Locked,
) -> Result<PathBuf, Error> {
    let data = home.join(format!(
        "data-{}",
        major_version(&postgres.binaries.postgres)?
    ));
    if data.exists() {
        return Ok(data);
    }
    // Renamed when it is done, so that a data directory is always whole.
    let unfinished = home.join("data-new");
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io("remove", unfinished, error));
        }
        _ => {}
    }
    initdb(postgres, home, &unfinished, lifeline)?;
    fs::rename(&unfinished, &data).map_err(|source| Error::io("create", &data, source))?;
    Ok(data)
}

fn initdb(postgres: &Postgres, home: &Path, data: &Path, lifeline: &Locked) -> Result<(), Error> {
    let binary = &postgres.binaries.initdb;
    let log_path = &postgres.initdb_log;
    remove_file(log_path)?;
    let log = private::open(log_path).map_err(|source| Error::io("create", log_path, source))?;
    let io_error = |source| Error::io("run", binary, source);
    let mut command = Command::new(binary);
    command
        .args([
            "-A",
            "trust",
            "-U",
            ROLE,
            "--no-locale",
            "-E",
            "UTF8",
            "--no-sync",
            "-D",
        ])
        .arg(data)
        .current_dir(home)
        // With the lifeline in its hands, nobody starts over while an initdb whose starter was killed still runs.
        .stdin(lifeline.share()?)
        .stdout(log.try_clone().map_err(io_error)?)
        .stderr(Stdio::from(log));
    clear_environment(&mut command);
    if let Some(account) = &postgres.account {
        account.take_over(&mut command);
    }
    let failed = |problem| Error::failed(NAME, problem, log_path, home);

    let mut child = command.spawn().map_err(io_error)?;
    let deadline = Instant::now() + INITDB_LIMIT;
    loop {
        match child.try_wait().map_err(io_error)? {
            Some(status) if status.success() => return Ok(()),
            Some(_) => return Err(failed("could not create its data directory")),
            None if Instant::now() > deadline => {
                child.kill().and_then(|()| child.wait()).map_err(io_error)?;
                return Err(failed(
                    "took longer than 120 s to create its data directory",
                ));
            }
            None => thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn major_version(binary: &Path) -> Result<String, Error> {
    let mut command = Command::new(binary);
    command.arg("--version").stdin(Stdio::null());
    clear_environment(&mut command);
    let output = command
        .output()
        .map_err(|source| Error::io("run", binary, source))?;
    parse_major_version(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| {
        Error::io(
            "learn the version of",
            binary,
            io::ErrorKind::InvalidData.into(),
        )
    })
}

/// From `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` or `postgres (PostgreSQL) 18beta1`.
fn parse_major_version(text: &str) -> Option<String> {
    let word = text.split_whitespace().nth(2)?;
    let major: String = word.chars().take_while(char::is_ascii_digit).collect();
    (!major.is_empty()).then_some(major)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_releases_and_betas() {
        let major = |text| parse_major_version(text);
        let release = "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n";
        assert_eq!(major(release).as_deref(), Some("15"));
        assert_eq!(
            major("postgres (PostgreSQL) 18beta1\n").as_deref(),
            Some("18")
        );
        assert_eq!(major("postgres: not found"), None);
    }
}
