//! Orders as they change, over a WebSocket: the process type `live`.
//!
//! ```text
//! commit ─► publish ─► Redis ─► Feed (one subscription per process) ─► every socket ─► its own customer's
//!                                 └─ interrupted, or a socket falls behind ─► that socket reads anew
//! ```
//!
//! What is published is a hint: it may be lost, and a process may die between a commit and its hint.
//! The truth is in Postgres, and is read whenever a hint may have been missed.
//! A status only moves forward (`pending`, `expired`, `paid`), so a client that hears an old one late knows better.

mod feed;
mod routes;

pub use feed::{Feed, publish};
pub use routes::routes;

use twelve::prelude::*;

/// Registers the feed, and the process type that shows it.
pub fn register(app: App) -> App {
    app.resource(Feed::follow).http("live", routes())
}
