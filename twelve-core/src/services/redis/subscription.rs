//! Messages that Redis publishes.

use redis::{
    AsyncConnectionConfig, Msg, ProtocolVersion, PushInfo, PushKind, RedisResult,
    aio::MultiplexedConnection,
};
use std::{collections::HashMap, fmt, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc::{self, Sender, error::TrySendError},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{CONNECT, Redis, timeouts};
use crate::error::Error;

/// How many messages may wait to be taken.
const BACKLOG: usize = 1024;

/// How often the connection is tested.
const PING: Duration = Duration::from_secs(10);

/// How HELLO names the role of a server that takes writes.
const PRIMARY: &str = "master";

/// The messages that are published on some channels, from the subscription on.
///
/// Redis stores no messages: one that is published without a subscriber is lost.
/// So subscribe first, then read the present state from where it is kept, and do both again when the subscription has ended.
///
/// It ends when its connection is lost, and when its server has become a replica: within 10 s, or at once when this process has been refused a write.
/// A replica forwards the messages of its primary, but loses those that are published while it copies the primary's data.
pub struct Subscription(mpsc::Receiver<(String, Vec<u8>)>);

impl Redis {
    /// Subscribes to channels, on a connection of its own beside the pool's.
    ///
    /// ```
    /// # use twelve_core::{Redis, Result};
    /// async fn follow(redis: Redis) -> Result<()> {
    ///     let mut news = redis.subscribe(&["news"]).await?;
    ///     while let Some((channel, payload)) = news.next().await {
    ///         println!("{channel}: {}", String::from_utf8_lossy(&payload));
    ///     }
    ///     Ok(()) // it has ended: subscribe again, after a pause
    /// }
    /// ```
    ///
    /// Publishing is a command like any other: `connection.publish("news", "…")`.
    /// Channels are the same in all of a server's numbered databases.
    /// A subscription speaks RESP3, which Redis has since 6.0.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] with the cause, within 2 s.
    pub async fn subscribe(&self, channels: &[&str]) -> Result<Subscription, Error> {
        self.listen(async |connection| connection.subscribe(channels).await)
            .await
    }

    /// Subscribes to every channel that matches one of these patterns, such as `orders:*`.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] with the cause, within 2 s.
    pub async fn psubscribe(&self, patterns: &[&str]) -> Result<Subscription, Error> {
        self.listen(async |connection| connection.psubscribe(patterns).await)
            .await
    }

    async fn listen(
        &self,
        subscribe: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<()>,
    ) -> Result<Subscription, Error> {
        let unreachable = Error::unavailable("Redis cannot be reached");
        let opened = Instant::now();
        let (messages, receiver) = mpsc::channel(BACKLOG);
        let over = CancellationToken::new();
        let config = forwarding(messages.clone(), over.clone());
        let subscribed = timeout(CONNECT, async {
            let mut connection = self.connect_to_listen(config).await?;
            let role = role(&mut connection).await?;
            subscribe(&mut connection).await?;
            RedisResult::Ok((connection, role))
        });
        let (connection, role) = match subscribed.await {
            Ok(Ok(subscribed)) => subscribed,
            Ok(Err(error)) => return Err(unreachable.with_source(error)),
            Err(elapsed) => return Err(unreachable.with_source(elapsed)),
        };
        let pool = Arc::clone(self.pool());
        tokio::spawn(async move {
            tokio::select! {
                () = over.cancelled() => {}
                () = messages.closed() => {}
                () = pool.until_discarded(opened) => {}
                () = until_it_does_no_more(connection, role) => {}
            }
        });
        Ok(Subscription(receiver))
    }

    /// In RESP3 a subscribed connection accepts other commands too, such as the one that asks for the role.
    async fn connect_to_listen(
        &self,
        config: AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        let info = self.pool().client().get_connection_info().clone();
        let redis = info.redis_settings().clone();
        let redis = redis.set_protocol(ProtocolVersion::RESP3);
        let client = redis::Client::open(info.set_redis_settings(redis))?;
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }
}

impl Subscription {
    /// The channel and the payload of the next message; `None` when the subscription has ended.
    ///
    /// It is cancel-safe: in `tokio::select!` no message is lost.
    /// The connection is closed too when 1,024 messages wait here to be taken: a subscriber that falls behind must know, and may not use up the memory.
    pub async fn next(&mut self) -> Option<(String, Vec<u8>)> {
        self.0.recv().await
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// Takes messages as fast as they arrive, since redis-rs itself would buffer them without a limit.
fn forwarding(
    messages: Sender<(String, Vec<u8>)>,
    over: CancellationToken,
) -> AsyncConnectionConfig {
    timeouts().set_push_sender(move |push: PushInfo| {
        if push.kind == PushKind::Disconnection {
            over.cancel();
        }
        // After a lost message no other may follow: the subscriber would not notice the gap.
        let Some(message) = Msg::from_push_info(push).filter(|_| !over.is_cancelled()) else {
            return Ok(());
        };
        let sent = messages.try_send(parts(&message));
        if let Err(TrySendError::Full(_)) = sent {
            tracing::warn!("a subscription to Redis ends: {BACKLOG} messages were not taken");
            over.cancel();
        }
        sent
    })
}

/// Ends when the server is silent, or has become a replica.
///
/// Without a test, a server that is gone looks like one without messages.
/// A replica forwards the messages of its primary, but not while it loads the primary's data or has lost it.
async fn until_it_does_no_more(mut connection: MultiplexedConnection, first: String) {
    loop {
        sleep(PING).await;
        match role(&mut connection).await {
            Ok(now) if first == PRIMARY && now != PRIMARY => {
                tracing::warn!("a subscription to Redis ends: its server has become a replica");
                return;
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

/// HELLO says it to every user, and while the server loads data or runs a script; ROLE and INFO may be forbidden.
async fn role(connection: &mut MultiplexedConnection) -> RedisResult<String> {
    let hello = redis::cmd("HELLO").arg(3).to_owned();
    let mut answer: HashMap<String, redis::Value> = hello.query_async(connection).await?;
    let role = answer.remove("role").unwrap_or(redis::Value::Nil);
    Ok(redis::from_redis_value(role)?)
}

fn parts(message: &Msg) -> (String, Vec<u8>) {
    let channel = message.get_channel_name().to_owned();
    (channel, message.get_payload_bytes().to_vec())
}
