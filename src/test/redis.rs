//! A Redis of its own for every test: one numbered database of the private server.

use std::{
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use twelve_core::{Error, redis};

use crate::services::REDIS_DATABASES;

/// The databases of this process so far.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The URL of a database of the private server at `url`, emptied.
///
/// The first one is left to people.
/// Two tests would have to run at once, with process ids that differ by a multiple of some hundreds, to meet in one.
pub(super) fn fresh_database(url: &str) -> Result<String, Error> {
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
