//! What one connection is doing, as far as its end is concerned.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// How an HTTP/2 connection begins (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection is doing; its socket and its requests report it.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Mutex<Doing>>);

#[derive(Debug)]
struct Doing {
    accepted: Instant,
    /// How many bytes were read and written.
    moved: u64,
    /// How much of [`PREFACE`] was read, or that something else was.
    preface: Preface,
    /// Since when the head of a request has been arriving.
    head_since: Option<Instant>,
    /// Requests whose answers have not been produced to their end.
    in_flight: usize,
    /// Has a request ever arrived?
    asked: bool,
    /// Is there an answer that the client does not take?
    blocked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preface {
    Matches(usize),
    Differs,
}

impl Activity {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(Doing {
            accepted: now,
            moved: 0,
            preface: Preface::Matches(0),
            // A client that connects and stays silent is as slow as one that stops within a head.
            head_since: Some(now),
            in_flight: 0,
            asked: false,
            blocked: false,
        })))
    }

    /// The socket has read this.
    pub(super) fn read(&self, bytes: &[u8]) {
        let mut doing = self.lock();
        doing.moved += bytes.len() as u64;
        if let Preface::Matches(before) = doing.preface
            && before < PREFACE.len()
        {
            let count = bytes.len().min(PREFACE.len() - before);
            doing.preface = if bytes[..count] == PREFACE[before..before + count] {
                Preface::Matches(before + count)
            } else {
                Preface::Differs
            };
        }
        if doing.speaks_http2() {
            // Its frames come whenever they like; pings tell whether the client lives.
            doing.head_since = None;
        } else if doing.in_flight == 0 && doing.head_since.is_none() {
            doing.head_since = Some(Instant::now());
        }
    }

    /// The socket has written so many bytes, or could not write any.
    pub(super) fn wrote(&self, written: Option<usize>) {
        let mut doing = self.lock();
        doing.blocked = written.is_none();
        doing.moved += written.unwrap_or_default() as u64;
    }

    /// A request has arrived; it is in flight as long as the answer lives.
    pub(super) fn begin(&self) -> InFlight {
        let mut doing = self.lock();
        doing.in_flight += 1;
        doing.asked = true;
        doing.head_since = None;
        InFlight(self.clone())
    }

    /// Resolves when the head of a request has been arriving for longer than `limit`.
    ///
    /// It is polled by the task that reads the socket, after the reading: so it needs no waker for what that reports.
    pub(super) async fn stalled(&self, limit: Duration) {
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|context| {
            let Some(since) = self.lock().head_since else {
                return Poll::Pending;
            };
            let deadline = since + limit;
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            timer.as_mut().poll(context)
        })
        .await;
    }

    /// Resolves when the client has made a request, or had `time` since it connected.
    ///
    /// Polled like [`stalled`](Self::stalled).
    pub(super) async fn asked_or_had(&self, time: Duration) {
        let accepted = self.lock().accepted;
        let asked = once(|| self.lock().asked);
        tokio::select! {
            biased;
            () = asked => {}
            () = sleep_until(accepted + time) => {}
        }
    }

    /// Resolves when it is known that the client speaks HTTP/2. Polled like [`stalled`](Self::stalled).
    pub(super) async fn speaks_http2(&self) {
        once(|| self.lock().speaks_http2()).await;
    }

    /// Resolves when there was nothing to do, and nothing was read or written, for `time`.
    pub(super) async fn silent(&self, time: Duration) {
        loop {
            let before = self.lock().moved;
            sleep(time).await;
            let doing = self.lock();
            if doing.in_flight == 0 && !doing.blocked && doing.moved == before {
                return;
            }
        }
    }

    /// Nothing panics while the lock is held.
    fn lock(&self) -> MutexGuard<'_, Doing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Doing {
    fn speaks_http2(&self) -> bool {
        self.preface == Preface::Matches(PREFACE.len())
    }
}

/// Resolves when `condition` holds at a poll of the task: nothing wakes it for that alone.
async fn once(condition: impl Fn() -> bool) {
    poll_fn(|_| {
        if condition() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// A request is in flight as long as this lives.
#[derive(Debug)]
pub(super) struct InFlight(Activity);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_2_is_known_by_its_preface_however_it_arrives() {
        let activity = Activity::new();
        activity.read(&PREFACE[..5]);
        assert!(!activity.lock().speaks_http2());
        activity.read(&PREFACE[5..]);
        assert!(activity.lock().speaks_http2());
        activity.read(b"frames");
        assert!(activity.lock().speaks_http2());

        let activity = Activity::new();
        activity.read(b"PR");
        activity.read(b"OPFIND / HTTP/1.1\r\n\r\n...........");
        assert!(!activity.lock().speaks_http2());
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_head_that_arrives_slowly_stalls() {
        let limit = Duration::from_secs(10);
        let activity = Activity::new();
        let request = activity.begin();
        let patient = tokio::time::timeout(Duration::from_mins(1), activity.stalled(limit));
        assert!(patient.await.is_err(), "a slow handler is no slow head");
        drop(request);
        let patient = tokio::time::timeout(Duration::from_mins(1), activity.stalled(limit));
        assert!(patient.await.is_err(), "an idle connection is no slow head");

        activity.read(b"GET / HT");
        let begun = Instant::now();
        activity.stalled(limit).await;
        assert_eq!(begun.elapsed(), limit);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_with_an_answer_under_way_is_not_silent() {
        let second = Duration::from_secs(1);
        let activity = Activity::new();
        let request = activity.begin();
        assert!(
            tokio::time::timeout(second * 5, activity.silent(second))
                .await
                .is_err()
        );
        drop(request);
        activity.wrote(None);
        assert!(
            tokio::time::timeout(second * 5, activity.silent(second))
                .await
                .is_err()
        );
        activity.wrote(Some(10));
        activity.silent(second).await;
    }
}
