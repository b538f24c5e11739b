//! The WebSocket that shows a customer's orders as they change.

use tokio::sync::broadcast::error::RecvError;
use twelve::axum::response::Response;
use twelve::prelude::*;
use twelve::web::ws::{WebSocket, WebSocketUpgrade};

use super::feed::{Feed, News, text};
use crate::{customers::Customer, orders::Order};

/// How many orders a client is told of when it connects: the newest.
const SHOWN: i64 = 20;

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
    let mut stale = true;
    loop {
        if stale {
            for order in Order::list_of(&db, customer, None, SHOWN).await? {
                socket.send(text(&order)?).await?;
            }
        }
        tokio::select! {
            said = socket.recv() => match said {
                Some(_) => stale = false,
                None => return Ok(()),
            },
            next = news.recv() => match next {
                Ok(News::Changed(whose, text)) => {
                    stale = false;
                    if whose == customer.id {
                        socket.send(text).await?;
                    }
                }
                Ok(News::Anything) | Err(RecvError::Lagged(_)) => stale = true,
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}
