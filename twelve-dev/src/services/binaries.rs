//! Finds the installed binaries of Postgres and Redis.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::error::Error;

/// Where packages put Postgres: a directory, the start of the names in it, each followed by `bin`.
///
/// Debian keeps the server's binaries out of PATH, and so does Homebrew for versions with a number.
const POSTGRES_PLACES: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql"),
    ("/usr/local/opt", "postgresql"),
];

/// Where packages put Redis; a PATH without the `sbin` directories or Homebrew is common in editors and CI.
const REDIS_PLACES: [&str; 6] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "/opt/homebrew/opt/redis/bin",
    "/opt/homebrew/opt/valkey/bin",
];

/// Valkey is Redis under its free licence; Debian and Fedora ship either.
const REDIS_NAMES: [&str; 2] = ["redis-server", "valkey-server"];

/// The places to look in.
#[derive(Debug)]
pub(super) struct Search {
    path: OsString,
    postgres: Vec<PathBuf>,
    redis: Vec<PathBuf>,
}

/// `initdb` and `postgres` of one installation.
#[derive(Clone, Debug)]
pub(super) struct PostgresBinaries {
    pub(super) initdb: PathBuf,
    pub(super) postgres: PathBuf,
}

impl Search {
    pub(super) fn of_system() -> Self {
        Self {
            path: env::var_os("PATH").unwrap_or_default(),
            postgres: POSTGRES_PLACES
                .iter()
                .flat_map(|(place, prefix)| versions(Path::new(place), prefix))
                .collect(),
            redis: REDIS_PLACES.iter().map(PathBuf::from).collect(),
        }
    }

    /// Both binaries come from one directory, since `initdb` wants the `postgres` of its own version.
    pub(super) fn postgres(&self) -> Result<PostgresBinaries, Error> {
        env::split_paths(&self.path)
            .chain(self.postgres.iter().cloned())
            .map(|directory| PostgresBinaries {
                initdb: directory.join("initdb"),
                postgres: directory.join("postgres"),
            })
            .find(|found| is_executable(&found.initdb) && is_executable(&found.postgres))
            .ok_or_else(Error::postgres_missing)
    }

    pub(super) fn redis(&self) -> Result<PathBuf, Error> {
        env::split_paths(&self.path)
            .chain(self.redis.iter().cloned())
            .flat_map(|directory| REDIS_NAMES.map(|name| directory.join(name)))
            .find(|path| is_executable(path))
            .ok_or_else(Error::redis_missing)
    }
}

/// The `bin` directories of all versions in `place`, newest first.
fn versions(place: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found: Vec<(Vec<u32>, PathBuf)> = fs::read_dir(place)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let rest = name.strip_prefix(prefix)?;
            // Compared as numbers: as text, 9.6 would be newer than 15.
            let version = rest
                .split(|character: char| !character.is_ascii_digit())
                .filter_map(|part| part.parse().ok())
                .collect();
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

fn is_executable(path: &Path) -> bool {
    // A relative entry of PATH would mean another program in another directory.
    path.is_absolute()
        && fs::metadata(path)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::OpenOptionsExt;

    fn nowhere() -> Search {
        Search {
            path: OsString::new(),
            postgres: Vec::new(),
            redis: Vec::new(),
        }
    }

    fn install(directory: &Path, name: &str) {
        fs::create_dir_all(directory).unwrap();
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o755)
            .open(directory.join(name))
            .unwrap();
    }

    fn scratch(name: &str) -> PathBuf {
        let path = env::temp_dir().join(format!("twelve-binaries-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn what_is_missing_is_named_with_the_packages_and_the_variable() {
        let error = nowhere().postgres().unwrap_err();
        assert!(error.is_missing());
        let text = error.to_string();
        for part in ["apt-get install postgresql", "brew install", "DATABASE_URL"] {
            assert!(text.contains(part), "{text}");
        }
        let error = nowhere().redis().unwrap_err();
        assert!(error.is_missing());
        let text = error.to_string();
        for part in [
            "apt-get install redis-server",
            "brew install redis",
            "REDIS_URL",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn postgres_without_its_initdb_is_passed_over() {
        let scratch = scratch("siblings");
        let (half, whole) = (scratch.join("half"), scratch.join("whole"));
        install(&half, "postgres");
        install(&whole, "postgres");
        install(&whole, "initdb");
        let mut search = nowhere();
        search.path = env::join_paths([&half]).unwrap();
        assert!(search.postgres().unwrap_err().is_missing());
        search.postgres = vec![whole.clone()];
        let found = search.postgres().unwrap();
        assert_eq!(found.postgres, whole.join("postgres"));
        assert_eq!(found.initdb, whole.join("initdb"));
        fs::remove_dir_all(scratch).unwrap();
    }

    #[test]
    fn the_newest_version_comes_first() {
        let scratch = scratch("versions");
        for version in ["9.6", "15", "17", "16"] {
            fs::create_dir(scratch.join(format!("postgresql@{version}"))).unwrap();
        }
        let newest = versions(&scratch, "postgresql");
        let order: Vec<_> = ["17", "16", "15", "9.6"]
            .map(|version| scratch.join(format!("postgresql@{version}/bin")))
            .into();
        assert_eq!(newest, order);
        fs::remove_dir_all(scratch).unwrap();
    }

    #[test]
    fn valkey_serves_as_redis() {
        let scratch = scratch("valkey");
        install(&scratch, "valkey-server");
        let mut search = nowhere();
        search.redis = vec![scratch.clone()];
        assert_eq!(search.redis().unwrap(), scratch.join("valkey-server"));
        fs::remove_dir_all(scratch).unwrap();
    }
}
