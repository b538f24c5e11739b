//! A handler's end of a WebSocket.

use std::fmt;
use tokio::sync::mpsc;

use super::{CloseCode, Message, Utf8Bytes};

/// A WebSocket, as its handler has it; it is closed with 1000 when this is dropped.
#[derive(Debug)]
pub struct WebSocket {
    pub(super) incoming: mpsc::Receiver<Message>,
    pub(super) outgoing: mpsc::Sender<Command>,
}

/// What the driver is told.
#[derive(Debug)]
pub(super) enum Command {
    Send(Message),
    Close(CloseCode, Utf8Bytes),
}

impl WebSocket {
    /// The next message; `None` when the client has left, or it is time to go.
    ///
    /// It may be dropped while it waits, as in `tokio::select!`, and loses nothing.
    /// A handler that never asks holds up its client: the second message waits in the network, and everything behind it, the client's good-bye too.
    pub async fn recv(&mut self) -> Option<Message> {
        self.incoming.recv().await
    }

    /// Sends a message, once the one before has been handed to the network.
    ///
    /// # Errors
    ///
    /// The client has left, or it is time to go: the handler should return.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), Closed> {
        let command = Command::Send(message.into());
        self.outgoing.send(command).await.map_err(|_| Closed)
    }

    /// Resolves when nothing can be sent any more: for a handler that waits for something else than its client.
    pub async fn closed(&self) {
        self.outgoing.closed().await;
    }

    /// Closes with a code and a reason of at most 123 bytes, after what was sent.
    ///
    /// The codes from 4000 to 4999 are yours (RFC 6455, section 7.4.2); [`close_code`](super::close_code) names the common ones.
    pub async fn close(self, code: CloseCode, reason: impl Into<Utf8Bytes>) {
        let command = Command::Close(code, reason.into());
        // Who has left already needs no good-bye.
        let _ = self.outgoing.send(command).await;
    }
}

/// The WebSocket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the WebSocket is closed")
    }
}

impl std::error::Error for Closed {}
