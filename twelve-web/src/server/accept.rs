//! Accepts connections until the process drains.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::OwnedSemaphorePermit,
};
use twelve_core::Lifecycle;

use super::connection::Connections;

/// How long the loop rests after an error such as "too many open files".
///
/// The cause does not go away by trying at once, and the loop must not use up a core meanwhile.
const REST: Duration = Duration::from_millis(100);

/// How often such an error is logged at most.
const LOG_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn until_drained(
    listener: TcpListener,
    connections: &Arc<Connections>,
    lifecycle: &Lifecycle,
) {
    let mut complaints = Complaints::default();
    loop {
        // The drain comes first: a flood of connections must not delay it.
        let accepted = tokio::select! {
            biased;
            () = lifecycle.draining() => break,
            accepted = next(&listener, connections) => accepted,
        };
        match accepted {
            Ok((stream, entry)) => connections.serve(stream, entry),
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                complaints.log(&error);
                // Idle connections hold what is wanting, if this process itself has used it up.
                connections.places().make_some_room();
                tokio::select! {
                    biased;
                    () = lifecycle.draining() => break,
                    () = tokio::time::sleep(REST) => {}
                }
            }
        }
    }
    match accept_the_rest(listener, connections) {
        Ok(0) => {}
        Ok(count) => tracing::debug!(count, "connections that had arrived before the drain"),
        Err(error) => tracing::debug!(%error, "the last connections could not be accepted"),
    }
}

/// The next connection, once one more may be let in.
async fn next(
    listener: &TcpListener,
    connections: &Connections,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let entry = connections.places().entry().await;
    let (stream, _) = listener.accept().await?;
    Ok((stream, entry))
}

/// Takes what the kernel has accepted on our behalf already, then closes the port.
///
/// Those clients believe that they are connected: dropping the listener first would reset them.
/// The system call is made directly, for the runtime may not have heard of the last arrivals yet.
fn accept_the_rest(listener: TcpListener, connections: &Arc<Connections>) -> io::Result<usize> {
    let listener = listener.into_std()?;
    let mut count = 0;
    while let Some(entry) = connections.places().entry_now() {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                connections.serve(TcpStream::from_std(stream)?, entry);
                count += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// The client left before it was accepted: nobody's fault, and nothing to wait for.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Says that connections cannot be accepted, but not a thousand times a second.
#[derive(Default)]
struct Complaints(Option<Instant>);

impl Complaints {
    fn log(&mut self, error: &io::Error) {
        if self.0.is_none_or(|last| last.elapsed() >= LOG_EVERY) {
            let what = if twelve_core::is_out_of_descriptors(error) {
                "connections cannot be accepted: this process has no file descriptor left, raise its limit of open files"
            } else {
                "connections cannot be accepted"
            };
            tracing::error!(%error, "{what}");
            self.0 = Some(Instant::now());
        }
    }
}
