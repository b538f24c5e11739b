//! The servers that tests run against: those that the environment names, else private ones.

use std::{env, sync::OnceLock};

use twelve_core::{Config, Environment, Error, Reader};
use twelve_dev::services::{Directory, Services, Wanted};

/// The private servers of this test process; they live as long as it does.
static SERVICES: OnceLock<Services> = OnceLock::new();

/// Starts the servers without blocking the runtime.
pub(super) async fn servers() -> Result<Environment, Error> {
    tokio::task::spawn_blocking(environment)
        .await
        .map_err(|panic| Error::internal("the servers cannot be started").with_source(panic))?
}

/// The process's environment, with private servers where no URL is set.
///
/// It blocks until they are ready.
///
/// # Errors
///
/// They cannot be started.
pub fn environment() -> Result<Environment, Error> {
    let mut environment = Environment::of_process();
    let is_missing = |name| !environment.is_set(name);
    let wanted = Wanted::missing(is_missing("DATABASE_URL"), is_missing("REDIS_URL"));
    let Some(wanted) = wanted else {
        return Ok(environment);
    };
    if SERVICES.get().is_none() {
        // Two threads may attach at once; the one that comes second lets go again.
        let _ = SERVICES.set(attach(wanted)?);
    }
    let Some(services) = SERVICES.get() else {
        return Ok(environment);
    };
    for (name, url) in [
        ("DATABASE_URL", services.database_url()),
        ("REDIS_URL", services.redis_url()),
    ] {
        if let Some(url) = url {
            environment = environment.with(name, url);
        }
    }
    Ok(environment)
}

/// The URL of the private Redis, if there is one.
#[cfg(feature = "redis")]
pub(super) fn private_redis() -> Option<&'static str> {
    SERVICES.get()?.redis_url()
}

fn attach(wanted: Wanted) -> Result<Services, Error> {
    // Cargo sets it for every test: the servers belong to this worktree.
    let worktree = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| ".".into());
    let refused =
        |error| Error::unavailable("private servers cannot be started").with_source(error);
    let directory = Directory::of_worktree(worktree).map_err(refused)?;
    Services::attach(&directory, wanted).map_err(refused)
}

/// The URL of any database on the server.
pub(super) fn postgres_url(environment: &Environment) -> Result<String, Error> {
    let PostgresUrl(url) = environment.load("tests have no Postgres")?;
    Ok(url)
}

struct PostgresUrl(String);

impl Config for PostgresUrl {
    fn load(reader: &mut Reader<'_>) -> Option<Self> {
        reader.read("DATABASE_URL", None, "Postgres").map(Self)
    }
}
