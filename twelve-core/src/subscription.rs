//! What Redis publishes, as it comes.

use futures_util::StreamExt;
use redis::{
    Msg, RedisResult,
    aio::{PubSub, PubSubSink, PubSubStream},
};
use std::{fmt, time::Duration};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::{sleep, timeout},
};

use crate::{
    Error, Redis,
    redis_pool::{COMMAND, CONNECT},
};

/// How many messages may wait to be taken.
const BACKLOG: usize = 1024;

/// How often a quiet connection must prove that it is there.
const PING: Duration = Duration::from_secs(10);

/// What is published on some channels, from the moment of subscribing on.
///
/// Redis keeps nothing for those who are not there: what is published while nobody listens is gone.
/// So subscribe first, then read the present state from where it is kept, and do both again when the subscription has ended.
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
    ///     Ok(()) // the connection is lost: subscribe again, after a pause
    /// }
    /// ```
    ///
    /// Publishing is a command like any other: `connection.publish("news", "…")`.
    /// Channels are the same in all of a server's numbered databases.
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
        subscribe: impl AsyncFnOnce(&mut PubSub) -> RedisResult<()>,
    ) -> Result<Subscription, Error> {
        let unreachable = Error::unavailable("Redis cannot be reached");
        let subscribed = timeout(CONNECT, async {
            let mut connection = self.pool().client().get_async_pubsub().await?;
            subscribe(&mut connection).await?;
            RedisResult::Ok(connection)
        });
        let connection = match subscribed.await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(unreachable.because(error)),
            Err(elapsed) => return Err(unreachable.because(elapsed)),
        };
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let (sink, stream) = connection.split();
        tokio::spawn(pump(sink, stream, sender));
        Ok(Subscription(receiver))
    }
}

impl Subscription {
    /// The channel and the payload of the next message; `None` when the connection is lost.
    ///
    /// It may be dropped while it waits, as in `tokio::select!`, and loses nothing.
    /// The connection is given up too when 1,024 messages wait here to be taken: a subscriber that falls behind must know, and may not use up the memory.
    pub async fn next(&mut self) -> Option<(String, Vec<u8>)> {
        self.0.recv().await
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// Takes what arrives as fast as it comes, for redis-rs itself would store it without a limit.
async fn pump(
    mut sink: PubSubSink,
    mut stream: PubSubStream,
    messages: mpsc::Sender<(String, Vec<u8>)>,
) {
    let reading = async {
        while let Some(message) = stream.next().await {
            match messages.try_send(parts(&message)) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => {
                    tracing::warn!(
                        "a subscription to Redis ends: {BACKLOG} messages were not taken"
                    );
                    return;
                }
                // Nobody listens any more.
                Err(TrySendError::Closed(_)) => return,
            }
        }
    };
    // A server that vanished says nothing, and neither does one on whose channels nothing happens.
    let asking = async {
        loop {
            sleep(PING).await;
            let answer = timeout(COMMAND, sink.ping::<redis::Value>()).await;
            if !matches!(answer, Ok(Ok(_))) {
                return;
            }
        }
    };
    tokio::select! {
        () = reading => {}
        () = asking => {}
        () = messages.closed() => {}
    }
}

fn parts(message: &Msg) -> (String, Vec<u8>) {
    let channel = message.get_channel_name().to_owned();
    (channel, message.get_payload_bytes().to_vec())
}
