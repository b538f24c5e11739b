//! A `WebSocket` that ends in order, with its process.
//!
//! ```text
//! WebSocketUpgrade ─ on_upgrade ─► 101 ─► handler ◄─ one message each way ─► driver ◄─► client
//!                                                                             │ pings, the moment to go, the closing handshake
//! ```
//!
//! The driver owns the socket, so that what keeps a process alive or lets it end does not depend on the handler:
//!
//! - When the process shuts down, every socket is closed with 1001 (going away) at a random moment of the announce phase (`TWELVE_ANNOUNCE`), so that clients do not all come back at once.
//!   The drain waits for the handlers; one that goes on is cut off when the time to drain is over.
//! - A client has 2 s to answer a closing frame.
//! - A ping every 25 s finds peers that have vanished; one that has said nothing until the next is given up.
//! - A message may have 64 KiB, unless the upgrade [says otherwise](WebSocketUpgrade::max_message_size); a longer one closes the socket with 1009.
//! - What one side does not take holds up the other: a message, or the answer to a ping, that the client does not take for 30 s ends the socket.
//!   Until it is taken nothing more is read, so a socket never has more waiting to be sent than one message of the handler's.
//!
//! ```
//! use axum::response::Response;
//! use twelve_web::{Router, get, ws::{WebSocket, WebSocketUpgrade}};
//!
//! async fn echo(upgrade: WebSocketUpgrade) -> Response {
//!     upgrade.on_upgrade(|mut socket: WebSocket| async move {
//!         while let Some(message) = socket.recv().await {
//!             if socket.send(message).await.is_err() {
//!                 break;
//!             }
//!         }
//!     })
//! }
//!
//! let live = Router::new().route("/echo", get(echo));
//! ```

mod driver;
mod message;
mod socket;
mod upgrade;

pub use axum::extract::ws::{CloseCode, Utf8Bytes, close_code};
pub use message::Message;
pub use socket::{Closed, WebSocket};
pub use upgrade::WebSocketUpgrade;

#[cfg(test)]
mod tests;
