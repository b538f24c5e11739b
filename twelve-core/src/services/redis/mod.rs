//! Redis: one lazy pool per process.
//!
//! ```text
//! Redis ─► Pool ─► RedisConnection ─► command ─► answer
//!            ▲                                     │
//!            └── discards all opened before ◄──────┘ is a fault of the server
//! ```

mod address;
mod answer;
mod pool;
mod subscription;

pub(crate) use answer::is_unavailable;
pub use subscription::Subscription;

use futures_util::FutureExt;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisFuture, RedisResult, aio::ConnectionLike};
use std::{fmt, sync::Arc, time::Duration};

use crate::{
    config::{Config, Reader},
    error::Error,
    handler::{Context, FromContext, Needs, Run, extractable},
};
use address::Address;
use pool::{CheckedOut, Pool};

/// How long connecting, and waiting for a free connection, may take.
pub(crate) const CONNECT: Duration = Duration::from_secs(2);

/// How long one command may take. redis-rs would give up after 500 ms, which cuts off a slow but healthy one.
const COMMAND: Duration = Duration::from_secs(5);

/// Redis: nothing is opened before the first use.
///
/// A command may take 5 s.
/// The crate `redis` is re-exported as `twelve::redis`, so that its commands are of the same version.
///
/// ```
/// use twelve_core::{Redis, Result, redis::AsyncCommands};
///
/// async fn count(redis: Redis) -> Result<u64> {
///     let mut connection = redis.connection().await?;
///     Ok(connection.incr("visits", 1).await?)
/// }
/// ```
///
/// # When the primary changes
///
/// A server that has become a replica keeps its connections and refuses every write on them with `READONLY`.
/// So an answer that reports a fault of the server discards the connection, and all that were opened before; the next command goes to where `REDIS_URL` leads now.
/// Such an answer counts as an outage, as a connection that breaks and a command that takes too long do: with `?`, a request is answered 503, and a job is put off without spending an attempt.
/// They are `READONLY`, `MASTERDOWN`, `MOVED`, `NOAUTH`, `WRONGPASS`, `DENIED` and `UNBLOCKED` by a change of role; and, since they may last only a moment, with a longer pause before connections are discarded again, `LOADING`, `BUSY`, `CLUSTERDOWN`, `TRYAGAIN`, `ASK`, `NOREPLICAS`, `MISCONF`, `OOM` and `IOERR`.
/// Any other error is one of the command, such as `WRONGTYPE`.
#[derive(Clone)]
pub struct Redis(Arc<Pool>);

/// A connection of the pool; it takes the commands of [`AsyncCommands`](redis::AsyncCommands).
pub struct RedisConnection(CheckedOut);

impl Redis {
    fn of(context: &Context) -> Result<Self, Error> {
        const NOT_CONFIGURED: &str = "Redis is not configured";
        let settings: Settings = context.environment().load(NOT_CONFIGURED)?;
        let client = redis::Client::open(settings.address.into_info())
            .map_err(|error| Error::configuration(NOT_CONFIGURED).with_source(error))?;
        Ok(Self(Arc::new(Pool::new(client, settings.size))))
    }

    /// A connection of the pool.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] with the cause, within 2 s.
    pub async fn connection(&self) -> Result<RedisConnection, Error> {
        self.0.acquire().await.map(RedisConnection)
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.0
    }
}

impl Context {
    /// Redis; opens no connection yet.
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] when `REDIS_URL` is missing or wrong.
    pub fn redis(&self) -> Result<Redis, Error> {
        let redis = self.singleton(|| Redis::of(self))?;
        Ok(Redis::clone(&redis))
    }
}

/// The settings that all connections share.
pub(crate) fn timeouts() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(COMMAND))
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

impl fmt::Debug for RedisConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConnection").finish_non_exhaustive()
    }
}

impl ConnectionLike for RedisConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, redis::Value> {
        async move {
            let answer = self.0.raw().req_packed_command(command).await;
            self.0.inspect(answer.as_ref().map(std::slice::from_ref));
            answer
        }
        .boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<redis::Value>> {
        async move {
            let asked = self.0.raw().req_packed_commands(commands, offset, count);
            let answers: RedisResult<Vec<redis::Value>> = asked.await;
            self.0.inspect(answers.as_deref());
            answers
        }
        .boxed()
    }

    fn get_db(&self) -> i64 {
        self.0.database()
    }
}

impl<K: Send + Sync + 'static> FromContext<K> for Redis {
    fn needs(needs: &mut Needs) {
        needs.add::<Self>();
    }

    async fn from_context(run: &Run<K>) -> Result<Self, Error> {
        run.context().redis()
    }
}

extractable!(impl for Redis);

/// What a process needs to know to reach Redis.
#[derive(Debug)]
pub(crate) struct Settings {
    address: Address,
    size: usize,
}

impl Config for Settings {
    fn load(reader: &mut Reader<'_>) -> Option<Self> {
        let address = reader.read("REDIS_URL", None, "Redis");
        let size = reader.read(
            "TWELVE_REDIS_POOL",
            Some("10"),
            "connections to Redis that one process may open",
        );
        let (address, size) = (address?, size?);
        if size == 0 {
            reader.reject(
                "TWELVE_REDIS_POOL",
                "too small: there would be no connection",
            );
            return None;
        }
        Some(Self { address, size })
    }
}
