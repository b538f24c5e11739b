//! What one connection is doing, as far as its end is concerned.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// How an HTTP/2 connection begins (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a connection may be idle between two requests.
///
/// Longer than the 60 s after which common load balancers close theirs: whoever closes first must not be us, or a request meets a closed connection.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 75 });

/// How often a connection is looked at that has something to do.
const LOOK_EVERY: Duration = KEEP_ALIVE.checked_div(5).unwrap();

/// How much longer a client has that is there and does nothing which ends its connection, when that has to end.
const LAST: u32 = 5;

/// So few bytes are no answer that is taken, however long that goes on: they are frames such as PING.
const NOISE: u64 = 4 << 10;

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The head of a request arrives too slowly.
    Stalled,
    /// There was nothing to do for [`KEEP_ALIVE`].
    Idle,
    /// Its place is needed.
    Evicted,
}

/// What a connection is doing; its socket and its requests report it.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Mutex<Doing>>);

#[derive(Debug)]
struct Doing {
    accepted: Instant,
    /// How many bytes were read and written.
    moved: u64,
    /// How many of them were written.
    written: u64,
    /// How much of [`PREFACE`] was read, or that something else was.
    preface: Preface,
    /// Since when the head of a request has been arriving.
    head_since: Option<Instant>,
    /// Requests whose answers have not been produced to their end.
    in_flight: usize,
    /// Those of them whose answers wait for the client to take them.
    untaken: usize,
    /// Has a request ever arrived?
    asked: bool,
    /// Is there an answer that the client does not take?
    blocked: bool,
    /// Since when there has been nothing in flight, if there is nothing.
    idle_since: Instant,
    is_evicted: bool,
    /// Wakes the task that serves the connection.
    task: Option<Waker>,
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
            written: 0,
            preface: Preface::Matches(0),
            // A client that connects and stays silent is as slow as one that stops within a head.
            head_since: Some(now),
            in_flight: 0,
            untaken: 0,
            asked: false,
            blocked: false,
            idle_since: now,
            is_evicted: false,
            task: None,
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
        if doing.blocked && written.is_some() {
            doing.idle_since = Instant::now();
        }
        doing.blocked = written.is_none();
        let written = written.unwrap_or_default() as u64;
        doing.moved += written;
        doing.written += written;
    }

    /// A request has arrived; it is in flight as long as the answer lives.
    pub(super) fn begin(&self) -> InFlight {
        let mut doing = self.lock();
        doing.in_flight += 1;
        doing.asked = true;
        doing.head_since = None;
        InFlight {
            activity: self.clone(),
            is_untaken: false,
        }
    }

    /// Resolves when the connection has to end by itself; the head of a request may take `head_limit`.
    ///
    /// It is polled by the task that reads the socket, after the reading: so it needs no waker for what that reports.
    /// A request does not move the timer, which would cost each one time: the timer looks again when it fires.
    pub(super) async fn over(&self, head_limit: Duration) -> Over {
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|context| {
            loop {
                let (deadline, why) = {
                    let mut doing = self.lock();
                    if doing.is_evicted {
                        return Poll::Ready(Over::Evicted);
                    }
                    doing.remember(context.waker());
                    doing.deadline(head_limit)
                };
                let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
                if deadline < timer.deadline() {
                    timer.as_mut().reset(deadline);
                }
                ready!(timer.as_mut().poll(context));
                if let Some(why) = why
                    && deadline <= Instant::now()
                {
                    return Poll::Ready(why);
                }
                timer.as_mut().reset(deadline);
            }
        })
        .await
    }

    /// Since when the connection has had nothing to do, if that is so.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let doing = self.lock();
        doing.is_idle().then_some(doing.idle_since)
    }

    /// Has the connection end, whose place is needed.
    pub(super) fn evict(&self) {
        let mut doing = self.lock();
        doing.is_evicted = true;
        if let Some(task) = &doing.task {
            task.wake_by_ref();
        }
    }

    pub(super) fn is_evicted(&self) -> bool {
        self.lock().is_evicted
    }

    /// Resolves when the client has made a request, or had `time` since it connected.
    ///
    /// Polled like [`over`](Self::over).
    pub(super) async fn asked_or_had(&self, time: Duration) {
        let accepted = self.lock().accepted;
        let asked = once(|| self.lock().asked);
        tokio::select! {
            biased;
            () = asked => {}
            () = sleep_until(accepted + time) => {}
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        self.lock().speaks_http2()
    }

    /// Resolves when it is known that the client speaks HTTP/2. Polled like [`over`](Self::over).
    pub(super) async fn speaks_http2(&self) {
        once(|| self.lock().speaks_http2()).await;
    }

    /// Resolves when there was nothing to do, and nothing was read or written, for `time`.
    ///
    /// It also resolves, after [`LAST`] times that, for a client that takes nothing of its answer, and for one that only makes itself heard: frames of HTTP/2 such as PING come as often as it likes.
    pub(super) async fn silent(&self, time: Duration) {
        let begun = Instant::now();
        let (mut moved, mut moved_at) = (self.lock().moved, begun);
        let (mut written, mut written_at) = (self.lock().written, begun);
        loop {
            sleep(time).await;
            let (doing, now) = (self.lock(), Instant::now());
            if doing.moved != moved {
                (moved, moved_at) = (doing.moved, now);
            }
            if doing.written - written > NOISE {
                (written, written_at) = (doing.written, now);
            }
            let is_idle = doing.in_flight == 0 && !doing.blocked;
            let is_client_to_move = doing.blocked || doing.untaken == doing.in_flight;
            if is_idle && now - moved_at >= time
                || is_client_to_move && now - written_at >= time * LAST
            {
                return;
            }
        }
    }

    /// Is there no answer under way, nor a protocol in which the client is told of the end?
    pub(super) fn may_be_cut(&self) -> bool {
        let doing = self.lock();
        doing.is_idle() && !doing.speaks_http2()
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

    /// A head that is arriving is nothing to do yet.
    fn is_idle(&self) -> bool {
        self.in_flight == 0 && !self.blocked
    }

    /// When the connection is over if nothing happens, and why; or when to look again.
    fn deadline(&self, head_limit: Duration) -> (Instant, Option<Over>) {
        match self.head_since {
            Some(since) => (since + head_limit, Some(Over::Stalled)),
            None if self.is_idle() => (self.idle_since + KEEP_ALIVE, Some(Over::Idle)),
            None => (Instant::now() + LOOK_EVERY, None),
        }
    }

    fn remember(&mut self, task: &Waker) {
        if !self
            .task
            .as_ref()
            .is_some_and(|known| known.will_wake(task))
        {
            self.task = Some(task.clone());
        }
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
pub(super) struct InFlight {
    activity: Activity,
    is_untaken: bool,
}

impl InFlight {
    /// Says whether the client is the one to move: there is something of the answer that it has to take.
    pub(super) fn set_untaken(&mut self, is_untaken: bool) {
        if self.is_untaken == is_untaken {
            return;
        }
        self.is_untaken = is_untaken;
        let mut doing = self.activity.lock();
        if is_untaken {
            doing.untaken += 1;
        } else {
            doing.untaken -= 1;
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut doing = self.activity.lock();
        doing.untaken -= usize::from(self.is_untaken);
        doing.in_flight -= 1;
        if doing.in_flight == 0 {
            doing.idle_since = Instant::now();
        }
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
        let patient = tokio::time::timeout(Duration::from_mins(1), activity.over(limit));
        assert!(patient.await.is_err(), "a slow handler is no slow head");
        drop(request);
        activity.read(b"GET / HT");
        let begun = Instant::now();
        assert_eq!(activity.over(limit).await, Over::Stalled);
        assert_eq!(begun.elapsed(), limit);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_from_the_end_of_its_last_request() {
        let limit = Duration::from_secs(10);
        let activity = Activity::new();
        activity.read(PREFACE);
        let request = activity.begin();
        let begun = Instant::now();
        let ending = async {
            sleep(KEEP_ALIVE * 2).await;
            // Pings are no request.
            activity.read(b"ping");
            drop(request);
        };
        let (over, ()) = tokio::join!(activity.over(limit), ending);
        assert_eq!(over, Over::Idle);
        assert_eq!(begun.elapsed(), KEEP_ALIVE * 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_only_makes_itself_heard_is_silent_in_the_end() {
        let second = Duration::from_secs(1);
        let activity = Activity::new();
        activity.read(PREFACE);
        let noise = async {
            loop {
                sleep(second / 2).await;
                activity.read(b"ping");
            }
        };
        let begun = Instant::now();
        tokio::select! {
            () = activity.silent(second) => {}
            () = noise => {}
        }
        assert_eq!(begun.elapsed(), second * LAST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_with_an_answer_under_way_is_not_silent() {
        let second = Duration::from_secs(1);
        let activity = Activity::new();
        let request = activity.begin();
        assert!(
            tokio::time::timeout(second * 4, activity.silent(second))
                .await
                .is_err()
        );
        drop(request);
        activity.wrote(None);
        assert!(
            tokio::time::timeout(second * 4, activity.silent(second))
                .await
                .is_err()
        );
        activity.wrote(Some(10));
        activity.silent(second).await;
    }
}
