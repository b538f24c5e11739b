//! Changes of orders: published through Redis, and heard by every process that shows them.

use std::time::Duration;
use tokio::{sync::broadcast, time::sleep};
use twelve::{prelude::*, redis::AsyncCommands, web::ws::Utf8Bytes};
use uuid::Uuid;

use crate::orders::Order;

/// A channel for each customer: this, and the customer's id.
const CHANNEL: &str = "shop:orders:";

/// How many changes a socket may fall behind before it has to read anew.
const BACKLOG: usize = 256;

/// The pauses between attempts to subscribe: from the first, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What a client is told of an order.
#[derive(Serialize)]
struct Change<'a> {
    order: Uuid,
    status: &'a str,
}

/// What the feed brings.
#[derive(Clone)]
pub(super) enum News {
    /// An order of this customer's has changed; the text is for the client.
    Changed(Uuid, Utf8Bytes),
    /// Nobody knows what has changed: the subscription is new.
    Anything,
}

/// The changes of all customers' orders: one subscription for all sockets of a process.
pub struct Feed(broadcast::Sender<News>);

impl Feed {
    /// Begins to listen, for as long as the process lives.
    pub async fn follow(redis: Redis) -> Result<Self> {
        let (sender, _) = broadcast::channel(BACKLOG);
        tokio::spawn(listen(redis, sender.clone()));
        Ok(Self(sender))
    }

    /// What comes from now on.
    ///
    /// A slow receiver delays nobody: it loses the oldest, and is told.
    pub(super) fn news(&self) -> broadcast::Receiver<News> {
        self.0.subscribe()
    }
}

/// Subscribes, and does so again whenever that has ended.
async fn listen(redis: Redis, sockets: broadcast::Sender<News>) {
    let pattern = format!("{CHANNEL}*");
    let mut pause = FIRST_PAUSE;
    loop {
        match redis.psubscribe(&[&pattern]).await {
            Ok(mut changes) => {
                pause = FIRST_PAUSE;
                // Without a socket there is nobody to tell.
                let _ = sockets.send(News::Anything);
                while let Some((channel, payload)) = changes.next().await {
                    if let Some(news) = read(&channel, payload) {
                        let _ = sockets.send(news);
                    }
                }
                tracing::warn!("the feed of orders is interrupted");
            }
            Err(error) => tracing::warn!(%error, "the feed of orders is down"),
        }
        // Drawn, so that processes that lost Redis together do not come back together.
        sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What does not come from [`publish`] is ignored.
fn read(channel: &str, payload: Vec<u8>) -> Option<News> {
    let customer = channel.strip_prefix(CHANNEL)?.parse().ok()?;
    let text = String::from_utf8(payload).ok()?;
    Some(News::Changed(customer, text.into()))
}

/// The text that tells a client about an order.
pub(super) fn text(order: &Order) -> Result<String> {
    let change = Change {
        order: order.id,
        status: &order.status,
    };
    Ok(serde_json::to_string(&change)?)
}

/// Tells those who watch that an order has changed, once `tx` has made it true.
///
/// It is in nobody's way: without Redis, orders are placed and paid all the same, and those who watch read again when it is back.
pub fn publish(tx: &mut Tx, redis: Redis, order: &Order) -> Result<()> {
    let channel = format!("{CHANNEL}{}", order.customer_id);
    let text = text(order)?;
    tx.after_commit(move || {
        tokio::spawn(async move {
            if let Ok(mut connection) = redis.connection().await {
                let _: Result<(), _> = connection.publish(channel, text).await;
            }
        });
    });
    Ok(())
}
