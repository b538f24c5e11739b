//! The pool of idle connections.

use lettre::address::Envelope;
use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

use super::session::{Server, Session};
use crate::mail::send_error::SendError;

/// How long a connection stays idle: less than the idle timeout of common servers.
const IDLE: Duration = Duration::from_secs(15);

/// How often idle connections are checked for that.
const TIDY: Duration = Duration::from_secs(5);

/// The most idle connections. As many may be in use as jobs run at a time.
const MAX_IDLE: usize = 8;

/// How long `QUIT` may take: hosts kill a process soon after its budget.
const GOODBYE: Duration = Duration::from_secs(1);

/// The connections to one server.
///
/// A session is in the pool or belongs to one mail, whose cancellation drops it. So no session is reused in the middle of a transaction.
#[derive(Debug)]
pub(in crate::mail) struct Pool {
    server: Server,
    idle: Mutex<Vec<(Session, Instant)>>,
}

impl Pool {
    pub(in crate::mail) fn new(server: Server) -> Self {
        Self {
            server,
            idle: Mutex::default(),
        }
    }

    /// Sends a message over an idle connection, or a new one; returns the server's reply.
    pub(in crate::mail) async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<String, SendError> {
        let (mut session, begun) = self.begin(envelope).await?;
        let sent = match begun {
            Ok(()) => session.finish(envelope, message).await,
            Err(refused) => Err(refused),
        };
        self.release(session, sent.is_err()).await;
        sent
    }

    /// A session after `MAIL FROM`, with the result of that.
    ///
    /// The server may have closed an idle connection in the meantime.
    /// Then nothing was sent, so the mail has not failed: a new connection replaces it at once.
    async fn begin(
        &self,
        envelope: &Envelope,
    ) -> Result<(Session, Result<(), SendError>), SendError> {
        if let Some(mut session) = self.idle_one() {
            let begun = session.begin(envelope).await;
            if !matches!(begun, Err(SendError::Unreachable(_))) {
                return Ok((session, begun));
            }
        }
        let mut session = self.server.connect().await?;
        let begun = session.begin(envelope).await;
        Ok((session, begun))
    }

    /// Releases a session to the pool, if it is fit for another mail.
    ///
    /// After a mail was sent this awaits nothing, since a process that is killed before the ack sends the mail twice.
    /// So surplus connections are left to [`tidy`](Self::tidy).
    async fn release(&self, mut session: Session, has_failed: bool) {
        let is_fit = if has_failed {
            session.reset().await
        } else {
            session.is_usable()
        };
        if is_fit {
            self.idle().push((session, Instant::now()));
        }
    }

    /// The idle session that was used last, so that the others reach their idle timeout.
    fn idle_one(&self) -> Option<Session> {
        self.idle().pop().map(|(session, _)| session)
    }

    /// Closes connections that were idle for too long, and surplus ones; never returns.
    pub(in crate::mail) async fn tidy(&self) -> ! {
        loop {
            sleep(TIDY).await;
            let old: Vec<_> = {
                let mut idle = self.idle();
                // The oldest come first.
                let young = idle.partition_point(|(_, since)| since.elapsed() >= IDLE);
                let surplus = idle.len().saturating_sub(MAX_IDLE);
                idle.drain(..young.max(surplus)).collect()
            };
            for (session, _) in old {
                part(session).await;
            }
        }
    }

    /// Says `QUIT` on every connection.
    pub(in crate::mail) async fn close(&self) {
        let all = mem::take(&mut *self.idle());
        let all = all.into_iter().map(|(session, _)| part(session));
        futures_util::future::join_all(all).await;
    }

    /// A panic while the lock was held cannot leave the list half changed.
    fn idle(&self) -> MutexGuard<'_, Vec<(Session, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn part(session: Session) {
    // A server that does not answer is left without a word.
    let _ = timeout(GOODBYE, session.quit()).await;
}
