//! How a connection is checked out of the pool: at once, after a test, or in turn.

use tokio::time::{Instant, timeout_at};

use super::{
    lease::Lease,
    pool::{ACQUIRE, Pool, TEST, Turn, closing},
};
use crate::error::Error;

impl Lease {
    /// A connection that works, as far as can be known.
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
                    let mut lease = Self::new(granted);
                    let limit = TEST.min(deadline.saturating_duration_since(Instant::now()));
                    if lease.test(limit).await {
                        return Ok(lease);
                    }
                    // Its siblings may be as dead, and so may be the server.
                    pool.suspect();
                    pool.look();
                    if Instant::now() >= deadline {
                        return Err(pool.not_in_time());
                    }
                }
                // One that comes back, or is new, has just worked.
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
