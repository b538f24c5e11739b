//! Redis: one lazy pool per process.

use deadpool_redis::{Manager, Pool, PoolError, Runtime, Timeouts};
use redis::{
    AsyncConnectionConfig, Cmd, IntoConnectionInfo, Pipeline, RedisFuture, aio::ConnectionLike,
};
use std::{fmt, time::Duration};
use url::Url;

use crate::{Config, Context, Error, FromContext, Needs, Reader, Run, Value, run::extractable};

const NOT_CONFIGURED: &str = "Redis is not configured";

/// How long connecting, and waiting for a free connection, may take.
pub(crate) const CONNECT: Duration = Duration::from_secs(2);

/// How long one command may take. redis-rs would give up after 500 ms, which cuts off a slow but healthy one.
pub(crate) const COMMAND: Duration = Duration::from_secs(5);

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
#[derive(Clone)]
pub struct Redis {
    pool: Pool,
    /// For connections outside the pool.
    client: redis::Client,
}

/// A connection of the pool; it takes the commands of [`AsyncCommands`](redis::AsyncCommands).
pub struct RedisConnection(deadpool_redis::Connection);

impl Redis {
    pub(crate) fn lazy(context: &Context) -> Result<Self, Error> {
        let settings: Settings = context.environment().load(NOT_CONFIGURED)?;
        let connection = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(COMMAND));
        let manager = Manager::new_with_config(settings.url.as_str(), connection)
            .map_err(|error| Error::configuration(NOT_CONFIGURED).because(error))?;
        let client = redis::Client::open(settings.url.as_str())
            .map_err(|error| Error::configuration(NOT_CONFIGURED).because(error))?;
        Pool::builder(manager)
            .max_size(settings.size)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(CONNECT),
                create: Some(CONNECT),
                recycle: Some(CONNECT),
            })
            .build()
            .map(|pool| Self { pool, client })
            .map_err(|error| Error::configuration(NOT_CONFIGURED).because(error))
    }

    /// A connection of the pool.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] with the cause, within 2 s.
    pub async fn connection(&self) -> Result<RedisConnection, Error> {
        self.pool.get().await.map(RedisConnection).map_err(|error| {
            let message = match &error {
                PoolError::Timeout(deadpool_redis::TimeoutType::Wait) => {
                    "every connection to Redis was busy for 2 s"
                }
                _ => "Redis cannot be reached",
            };
            Error::unavailable(message).because(error)
        })
    }

    pub(crate) fn client(&self) -> &redis::Client {
        &self.client
    }
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
        self.0.req_packed_command(command)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<redis::Value>> {
        self.0.req_packed_commands(commands, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.0.get_db()
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
    url: RedisUrl,
    size: usize,
}

impl Config for Settings {
    fn load(reader: &mut Reader<'_>) -> Option<Self> {
        let url = reader.read("REDIS_URL", None, "Redis");
        let size = reader.read(
            "TWELVE_REDIS_POOL",
            Some("10"),
            "connections to Redis that one process may open",
        );
        let (url, size) = (url?, size?);
        if size == 0 {
            reader.reject(
                "TWELVE_REDIS_POOL",
                "too small: there would be no connection",
            );
            return None;
        }
        Some(Self { url, size })
    }
}

#[derive(Debug)]
struct RedisUrl(String);

impl RedisUrl {
    fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for RedisUrl {
    const EXPECTED: &'static str = "a URL such as redis://localhost:6379/0";

    fn parse(text: &str) -> Result<Self, String> {
        text.into_connection_info()
            .map(|_| Self(text.into()))
            .map_err(|error| error.to_string())
    }

    fn show(text: &str) -> String {
        <Url as Value>::show(text)
    }
}
