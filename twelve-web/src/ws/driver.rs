//! Moves the messages of one WebSocket, and sees to its end.

use axum::{
    Error,
    extract::ws::{self, CloseFrame},
};
use futures_util::SinkExt;
use std::{
    error::Error as _,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};
use tokio_tungstenite::tungstenite::{self, error::ProtocolError};
use twelve_core::Lifecycle;

use super::{
    CloseCode, Message, Utf8Bytes, WebSocket,
    close_code::{AWAY, ERROR, INVALID, NORMAL, PROTOCOL, SIZE},
    socket::Command,
};
use crate::{limit::PROGRESS, server::Peer};

/// How long the closing handshake may take, with what had to be sent before it.
const GOODBYE: Duration = Duration::from_secs(2);

/// The longest reason that a closing frame can carry, in bytes (RFC 6455, section 5.5).
const LONGEST_REASON: usize = 123;

pub(super) struct Driver {
    socket: ws::WebSocket,
    incoming: mpsc::Sender<Message>,
    outgoing: mpsc::Receiver<Command>,
    lifecycle: Lifecycle,
    ping_every: Duration,
    /// Has the handler failed?
    failed: Arc<AtomicBool>,
    peer: Option<Peer>,
}

/// What the client has sent.
enum Received {
    /// Nothing that has to be answered.
    Message,
    /// tungstenite has the answer ready.
    Ping,
}

/// Why a socket ends.
enum End {
    /// We close it.
    Close(CloseCode, Utf8Bytes),
    /// The client closes it.
    Left,
    /// There is nobody to say good-bye to.
    Gone,
}

impl Driver {
    /// A driver, and the handler's end of the socket; `failed` tells the driver how the handler has ended.
    pub(super) fn new(
        socket: ws::WebSocket,
        lifecycle: Lifecycle,
        ping_every: Duration,
        failed: Arc<AtomicBool>,
        peer: Option<Peer>,
    ) -> (Self, WebSocket) {
        // One message each way: whoever is slow holds up the other side instead of filling the memory.
        let (to_handler, incoming) = mpsc::channel(1);
        let (outgoing, from_handler) = mpsc::channel(1);
        let driver = Self {
            socket,
            incoming: to_handler,
            outgoing: from_handler,
            lifecycle,
            ping_every,
            failed,
            peer,
        };
        (driver, WebSocket { incoming, outgoing })
    }

    pub(super) async fn run(mut self) {
        let end = self.serve().await;
        let _ = timeout(GOODBYE, self.finish(end)).await;
    }

    async fn serve(&mut self) -> End {
        let lifecycle = self.lifecycle.clone();
        let mut away = pin!(time_to_go(&lifecycle));
        let mut pings = interval_at(Instant::now() + self.ping_every, self.ping_every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = true;
        loop {
            let message = tokio::select! {
                () = &mut away => return End::Close(AWAY, "going away".into()),
                received = receive(&mut self.socket, &self.incoming) => {
                    heard = true;
                    match received {
                        Ok(Received::Message) => continue,
                        Ok(Received::Ping) => None,
                        Err(end) => {
                            if let (End::Close(..), Some(peer)) = (&end, &self.peer) {
                                // Nothing of what it still sends can be read any more.
                                peer.linger();
                            }
                            return end;
                        }
                    }
                }
                command = self.outgoing.recv() => match command {
                    Some(Command::Send(message)) => Some(message.into()),
                    Some(Command::Close(code, reason)) => return End::Close(code, reason),
                    None if self.failed.load(Ordering::Relaxed) => return End::Close(ERROR, "".into()),
                    None => return End::Close(NORMAL, "".into()),
                },
                _ = pings.tick() => {
                    if self.incoming.capacity() == 0 {
                        // While the handler takes nothing we read nothing, and cannot hear the client.
                        heard = true;
                    } else if !std::mem::take(&mut heard) {
                        return End::Gone;
                    }
                    Some(ws::Message::Ping("".into()))
                }
            };
            // Nothing is read meanwhile: a client that takes no answers could else pile them up here by its pings.
            let handed_over = match message {
                Some(message) => hand_over(self.socket.send(message), away.as_mut()).await,
                None => hand_over(self.socket.flush(), away.as_mut()).await,
            };
            if let Err(end) = handed_over {
                return end;
            }
        }
    }

    async fn finish(self, end: End) {
        let Self {
            mut socket,
            mut outgoing,
            incoming,
            ..
        } = self;
        // From here on the handler hears of the end.
        drop(incoming);
        outgoing.close();
        match end {
            End::Close(mut code, mut reason) => {
                // What it was told is sent must be.
                while let Some(command) = outgoing.recv().await {
                    match command {
                        Command::Send(message) => {
                            if socket.send(message.into()).await.is_err() {
                                return;
                            }
                        }
                        Command::Close(its, why) => (code, reason) = (its, why),
                    }
                }
                let reason = reason[..reason.floor_char_boundary(LONGEST_REASON)].into();
                let frame = ws::Message::Close(Some(CloseFrame { code, reason }));
                if socket.send(frame).await.is_err() {
                    return;
                }
            }
            End::Left => {}
            End::Gone => return,
        }
        // Reading on sends our answer to the client's closing frame, or waits for the client's to ours.
        while let Some(Ok(_)) = socket.recv().await {}
    }
}

/// Resolves at a random moment of the announce phase, at the latest when the drain begins.
async fn time_to_go(lifecycle: &Lifecycle) {
    lifecycle.announced().await;
    let moment = lifecycle.budget().announce.mul_f64(fastrand::f64());
    tokio::select! {
        () = lifecycle.draining() => {}
        () = sleep(moment) => {}
    }
}

/// Hands one message of the client's to the handler; reads nothing while there is no room for it.
async fn receive(
    socket: &mut ws::WebSocket,
    incoming: &mpsc::Sender<Message>,
) -> Result<Received, End> {
    let Ok(place) = incoming.reserve().await else {
        // The handler has let go of the socket: that is for the other side of the driver to find.
        return std::future::pending().await;
    };
    match socket.recv().await {
        Some(Ok(ws::Message::Text(text))) => place.send(Message::Text(text)),
        Some(Ok(ws::Message::Binary(bytes))) => place.send(Message::Binary(bytes)),
        Some(Ok(ws::Message::Ping(_))) => return Ok(Received::Ping),
        Some(Ok(ws::Message::Pong(_))) => {}
        Some(Ok(ws::Message::Close(_))) => return Err(End::Left),
        Some(Err(error)) => return Err(broken(&error)),
        None => return Err(End::Gone),
    }
    Ok(Received::Message)
}

/// Waits until what is to be sent is in the kernel's hands, and gives up a client that takes nothing.
async fn hand_over(
    sending: impl Future<Output = Result<(), Error>>,
    away: Pin<&mut impl Future<Output = ()>>,
) -> Result<(), End> {
    tokio::select! {
        sent = timeout(PROGRESS, sending) => match sent {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        },
        // The message is in the socket's buffer by now, and goes out before the closing frame.
        () = away => Err(End::Close(AWAY, "going away".into())),
    }
}

/// What to tell a client whose bytes cannot be read.
fn broken(error: &Error) -> End {
    tracing::debug!(%error, "a WebSocket ended early");
    let cause = error.source().and_then(|source| source.downcast_ref());
    match cause {
        Some(tungstenite::Error::Capacity(_)) => End::Close(SIZE, "message too long".into()),
        Some(tungstenite::Error::Utf8(_)) => End::Close(INVALID, "not UTF-8".into()),
        // The client went without a good-bye.
        Some(
            tungstenite::Error::Io(_)
            | tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake),
        ) => End::Gone,
        _ => End::Close(PROTOCOL, "not a WebSocket message".into()),
    }
}
