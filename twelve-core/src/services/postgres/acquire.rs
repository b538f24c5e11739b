//! How a connection is checked out of the pool: at once, after a test, or in turn.

use tokio::time::{Instant, timeout_at};

use super::{
    checked_out::CheckedOut,
    pool::{ACQUIRE, Pool, TEST, Turn, closing},
};
use crate::error::Error;

impl CheckedOut {
    /// A connection that works, as far as the pool knows.
    ///
    /// # Errors
    ///
    /// There is none within 2 s, and the pool says why.
    pub(super) async fn acquire(pool: &Pool) -> Result<Self, Error> {
        let deadline = Instant::now() + ACQUIRE;
        loop {
            match pool.turn()? {
                Turn::Trusted(granted) => return Ok(Self::new(granted)),
                Turn::Untested(granted) => {
                    let mut connection = Self::new(granted);
                    let limit = TEST.min(deadline.saturating_duration_since(Instant::now()));
                    if connection.test(limit).await {
                        return Ok(connection);
                    }
                    // The other connections may be dead too, and so may be the server.
                    pool.suspect();
                    pool.probe();
                    if Instant::now() >= deadline {
                        return Err(pool.not_in_time());
                    }
                }
                // A released or a new connection has just worked.
                Turn::Later(turn) => {
                    return match timeout_at(deadline, turn).await {
                        Ok(answer) => answer.unwrap_or_else(|_| Err(closing())).map(Self::new),
                        Err(_) => Err(pool.not_in_time()),
                    };
                }
            }
        }
    }
}
