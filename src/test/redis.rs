//! A Redis of its own for every test: one numbered database of the private server.

use std::{
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use twelve_core::{Environment, Error, redis};
use twelve_dev::services::REDIS_DATABASES;

use super::servers::private_redis;

/// The databases of this process so far.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Gives the test a database of its own on the private Redis; one that the author has named is shared.
pub(super) async fn with_own_redis(environment: Environment) -> Result<Environment, Error> {
    let Some(url) = private_redis() else {
        return Ok(environment);
    };
    let url = tokio::task::spawn_blocking(|| fresh_database(url))
        .await
        .map_err(|panic| Error::internal("Redis cannot be emptied").with_source(panic))??;
    Ok(environment.with("REDIS_URL", url))
}

/// The URL of a database of the private server at `url`, emptied.
///
/// The first one is left to people.
/// Two tests would have to run at once, with process ids that differ by a multiple of some hundreds, to meet in one.
fn fresh_database(url: &str) -> Result<String, Error> {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let number = process::id().wrapping_mul(16).wrapping_add(count) % (REDIS_DATABASES - 1) + 1;
    let url = format!("{url}?db={number}");
    let failed =
        |error| Error::unavailable("the private Redis cannot be reached").with_source(error);
    let mut connection = redis::Client::open(url.as_str())
        .and_then(|client| client.get_connection())
        .map_err(failed)?;
    redis::cmd("FLUSHDB")
        .exec(&mut connection)
        .map_err(failed)?;
    Ok(url)
}
