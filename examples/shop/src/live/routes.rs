//! The WebSocket that shows a customer's orders as they change.

use std::time::Duration;
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, sleep_until},
};
use twelve::axum::response::Response;
use twelve::prelude::*;
use twelve::web::ws::{WebSocket, WebSocketUpgrade};

use super::feed::{Feed, News, text};
use crate::{customers::Customer, orders::Order};

/// How many orders a client is told of when it connects: the newest.
const SHOWN: i64 = 20;

/// How long after it was in vain the orders are read again, give or take a half.
const PAUSE: Duration = Duration::from_secs(1);

/// The routes of the process type `live`.
pub fn routes() -> Router {
    Router::new().route("/live", get(live))
}

/// Browsers cannot send a header with a WebSocket, so the token is in the query.
#[derive(Deserialize)]
struct Who {
    #[serde(default)]
    token: String,
}

async fn live(
    Query(who): Query<Who>,
    db: Db,
    feed: Res<Feed>,
    upgrade: WebSocketUpgrade,
) -> Result<Response> {
    let customer = Customer::of_token(&db, &who.token).await?;
    // The token says who asks, no cookie does: a page of another site has none to send.
    let upgrade = upgrade.any_origin();
    Ok(upgrade.on_upgrade(move |socket| show(socket, customer, db, feed)))
}

/// Sends `{"order", "status"}` of the newest orders, then of each that changes; what the client says is ignored.
async fn show(mut socket: WebSocket, customer: Customer, db: Db, feed: Res<Feed>) -> Result<()> {
    // Before the orders are read: what changes meanwhile comes after them, and nothing between is missed.
    let mut news = feed.news();
    // When the orders are to be read; `None` while the news tell enough.
    let mut read_at = Some(Instant::now());
    loop {
        tokio::select! {
            () = sleep_until(read_at.unwrap_or_else(Instant::now)), if read_at.is_some() => {
                let orders = Order::list_of(&db, customer, None, SHOWN).await;
                match orders.map_err(Failure::from) {
                    Ok(orders) => {
                        read_at = None;
                        for order in orders {
                            socket.send(text(&order)?).await?;
                        }
                    }
                    // All sockets read at once when the feed is back, more than the pool has connections: drawn, so that they do not come back together.
                    Err(failure) if failure.is_unavailable() => {
                        read_at = Some(Instant::now() + PAUSE.mul_f64(0.5 + fastrand::f64()));
                    }
                    Err(failure) => return Err(failure),
                }
            }
            said = socket.recv() => if said.is_none() {
                return Ok(());
            },
            next = news.recv() => match next {
                Ok(News::Changed(whose, text)) => if whose == customer.id {
                    socket.send(text).await?;
                },
                Ok(News::Anything) | Err(RecvError::Lagged(_)) => {
                    read_at.get_or_insert_with(Instant::now);
                }
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}
