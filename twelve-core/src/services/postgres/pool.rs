//! The pool: which connections there are, who waits for one, and what is known of the server.
//!
//! ```text
//! acquire ─► an idle connection, trusted or tested ──────┐
//!      └───► the queue of waiters ─► a released one, ────┴─► CheckedOut
//!                or one that a background task has opened
//! ```
//!
//! A background task opens connections, not the caller: a cancelled request leaves no half-opened connection behind.
//! A failed connect concerns only callers who need a new connection; while others are checked out, they wait for one to be released.

use sqlx::{Connection, PgConnection};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout},
};

use super::{
    background::{Dropped, Duty, Task, in_background},
    target::{Opened, Target, is_telling, silent},
};
use crate::error::{Error, chain, is_out_of_descriptors, sqlstate};

/// How long a handler waits for a connection, connecting included.
pub(super) const ACQUIRE: Duration = Duration::from_secs(2);

/// How long the test of an idle connection may take, and closing one in order.
pub(super) const TEST: Duration = Duration::from_millis(500);

/// A connection that was idle for longer is tested before it is handed out.
///
/// Testing every time would cost each statement a round trip.
const TEST_AFTER_IDLE: Duration = Duration::from_secs(5);

/// How often the server is probed while it refuses connections, or writes.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// The same while it refuses our credentials, or the number of our connections: each attempt is a line in its log.
const PROBE_REFUSAL_EVERY: Duration = Duration::from_secs(1);

/// Callers do not wait for an unresponsive server when no connection was released for this long.
const STALLED: Duration = Duration::from_millis(500);

/// An idle connection is closed after this time.
const IDLE: Duration = Duration::from_mins(10);

/// An older connection is closed, since the caches of its backend only grow.
const LIFETIME: Duration = Duration::from_mins(30);

/// How often idle connections are checked for their age.
const SWEEP: Duration = Duration::from_mins(1);

#[derive(Clone)]
pub(super) struct Pool(Arc<Inner>);

struct Inner {
    target: Target,
    size: u32,
    /// How long a statement may take.
    limit: Duration,
    state: Mutex<State>,
    dropped: Arc<Dropped>,
    /// Postgres accepts connections again.
    recovered: Notify,
    /// A place has become free.
    freed: Arc<Notify>,
}

#[derive(Default)]
struct State {
    /// Last in, first out: connections beyond the need stay idle and are closed.
    idle: Vec<Member>,
    /// Callers that wait for a connection, first come, first served.
    waiters: VecDeque<oneshot::Sender<Result<Granted, Error>>>,
    /// Places taken by connections (idle, checked out or being settled) and by attempts to open one.
    taken: usize,
    /// How many of them are attempts.
    opening: usize,
    /// Why the last attempt to connect failed, until one succeeds.
    refusal: Option<Refusal>,
    /// Why this process could not open another connection, until it can: it has no file descriptor left.
    shortage: Option<Error>,
    /// Does a task probe the server until it accepts connections?
    is_probing: bool,
    /// Does a task close old connections?
    is_sweeping: bool,
    /// When a connection was last released.
    released: Option<Instant>,
    /// When a connection was last found dead: connections idle since before that are tested.
    suspected: Option<Instant>,
    /// When a connection was last found outdated: connections opened before that are closed.
    outdated: Option<Instant>,
    /// When the server last refused a write.
    read_only: Option<Instant>,
    is_closed: bool,
}

/// A connection of the pool.
pub(super) struct Member {
    pub(super) connection: PgConnection,
    /// Does Postgres end a statement on it that takes too long?
    pub(super) is_limited: bool,
    opened: Instant,
    expires: Instant,
    idle_since: Instant,
}

/// A connection on its way to a caller: it is released again unless the caller takes it out.
pub(super) struct Granted {
    pub(super) pool: Pool,
    pub(super) member: Option<Member>,
}

impl Drop for Granted {
    fn drop(&mut self) {
        if let Some(member) = self.member.take() {
            self.pool.release(member);
        }
    }
}

#[derive(Clone)]
struct Refusal {
    error: Error,
    /// Did no server answer? Then open connections may be dead too.
    is_silent: bool,
    /// When to try again.
    pause: Duration,
}

/// What a caller gets at once.
pub(super) enum Turn {
    Trusted(Granted),
    Untested(Granted),
    Later(oneshot::Receiver<Result<Granted, Error>>),
}

impl Pool {
    /// A pool that opens nothing yet.
    pub(super) fn new(target: Target, size: u32, limit: Duration) -> Self {
        let freed = Arc::default();
        Self(Arc::new(Inner {
            target,
            limit,
            size: size.max(1),
            state: Mutex::default(),
            dropped: Arc::new(Dropped::new(&freed)),
            recovered: Notify::new(),
            freed,
        }))
    }

    pub(super) fn target(&self) -> &Target {
        &self.0.target
    }

    pub(super) fn size(&self) -> u32 {
        self.0.size
    }

    /// How long a statement may take.
    pub(super) fn limit(&self) -> Duration {
        self.0.limit
    }

    fn grant(&self, member: Member) -> Granted {
        Granted {
            pool: self.clone(),
            member: Some(member),
        }
    }

    /// What a caller gets at once.
    pub(super) fn turn(&self) -> Result<Turn, Error> {
        let mut state = self.state();
        if state.is_closed {
            return Err(closing());
        }
        while let Some(member) = state.idle.pop() {
            if !state.is_current(&member) {
                self.close_in_order(member);
                continue;
            }
            let is_trusted = state.is_trusted(&member);
            let granted = self.grant(member);
            return Ok(if is_trusted {
                Turn::Trusted(granted)
            } else {
                Turn::Untested(granted)
            });
        }
        if let Some(error) = state.error_for_waiters() {
            return Err(error);
        }
        // Callers whose wait timed out have left; the first ones leave first.
        while state
            .waiters
            .front()
            .is_some_and(oneshot::Sender::is_closed)
        {
            state.waiters.pop_front();
        }
        let (sender, receiver) = oneshot::channel();
        state.waiters.push_back(sender);
        self.grow(&mut state);
        Ok(Turn::Later(receiver))
    }

    /// Why there was no connection for as long as a handler waits.
    pub(super) fn not_in_time(&self) -> Error {
        let mut state = self.state();
        if let Some(refusal) = &state.refusal {
            return refusal.error.clone();
        }
        if let Some(shortage) = &state.shortage {
            return shortage.clone();
        }
        if state.checked_out() == 0 && state.opening > 0 {
            let refusal = Refusal::silent();
            let error = refusal.error.clone();
            self.refuse(&mut state, refusal);
            return error;
        }
        if state.is_stalled() {
            // Are the connections busy, or lost with their server? A probe finds out for the next callers.
            self.probe_with(&mut state);
        }
        Error::unavailable(
            "as many connections to Postgres as TWELVE_DATABASE_POOL allows were busy for 2 s",
        )
    }

    /// Takes back a connection that has no answer pending.
    pub(super) fn release(&self, mut member: Member) {
        let mut state = self.state();
        let now = Instant::now();
        state.released = Some(now);
        if state.is_closed || !state.is_current(&member) {
            return self.close_in_order(member);
        }
        member.idle_since = now;
        if let Some(waiting) = state.next_waiter() {
            drop(state);
            // A receiver that is gone by now drops it, which releases it again.
            let _ = waiting.send(Ok(self.grant(member)));
        } else {
            state.idle.push(member);
        }
    }

    /// Closes a connection with a Terminate message; it keeps its place until then.
    fn close_in_order(&self, member: Member) {
        let (pool, task) = (self.clone(), self.settling());
        in_background(async move {
            let _ = timeout(TEST, member.connection.close()).await;
            task.done();
            pool.free();
        });
    }

    /// Marks a task that frees the place of a connection, or releases the connection.
    pub(super) fn settling(&self) -> Task {
        self.task(Duty::Settle)
    }

    fn task(&self, duty: Duty) -> Task {
        Task::new(&self.0.dropped, duty)
    }

    /// Frees the place of a connection that is closed.
    pub(super) fn free(&self) {
        let mut state = self.state();
        state.taken -= 1;
        self.grow(&mut state);
        state.fail_waiters();
        drop(state);
        self.0.freed.notify_waiters();
    }

    /// Opens one connection for each waiter, up to the pool's size.
    fn grow(&self, state: &mut State) {
        if state.refusal.is_some() || state.is_closed {
            return;
        }
        while state.opening < state.waiters.len() && state.taken < self.0.size as usize {
            state.opening += 1;
            state.taken += 1;
            in_background(self.clone().open(self.task(Duty::Open)));
        }
        if !std::mem::replace(&mut state.is_sweeping, true) {
            in_background(sweep(Arc::downgrade(&self.0), self.task(Duty::Sweep)));
        }
    }

    async fn open(self, task: Task) {
        let opened = tokio::select! {
            opened = self.0.target.open(Some(self.0.limit)) => opened,
            // The server was unreachable and is back: this attempt is from before.
            () = self.recovered() => {
                task.done();
                self.state().opening -= 1;
                return self.free();
            }
        };
        task.done();
        let mut state = self.state();
        state.opening -= 1;
        match opened {
            Ok(opened) => {
                self.recover(&mut state);
                self.grow(&mut state);
                drop(state);
                self.release(Member::new(opened));
            }
            Err(error) if is_out_of_descriptors(&error) => {
                state.taken -= 1;
                state.run_short(refused(error));
                drop(state);
                self.0.freed.notify_waiters();
                in_background(self.grow_later());
            }
            Err(error) => {
                state.taken -= 1;
                self.refuse(&mut state, Refusal::of(error));
                drop(state);
                self.0.freed.notify_waiters();
            }
        }
    }

    /// Postgres itself is well: waiters get a released connection, or one that can be opened later.
    async fn grow_later(self) {
        tokio::time::sleep(PROBE_EVERY).await;
        self.grow(&mut self.state());
    }

    /// Records that the server refuses connections, fails the waiters if none will come, and probes until it accepts again.
    fn refuse(&self, state: &mut State, refusal: Refusal) {
        if state.refusal.is_none() {
            tracing::warn!(error = %chain(&refusal.error), "no new connection to Postgres");
        }
        state.refusal = Some(refusal);
        state.fail_waiters();
        self.probe_with(state);
    }

    /// Clears the refusal: a connection was opened.
    fn recover(&self, state: &mut State) {
        state.shortage = None;
        if let Some(refusal) = state.refusal.take() {
            tracing::info!("Postgres takes connections again");
            if refusal.is_silent {
                self.0.recovered.notify_waiters();
            }
        }
    }

    /// Adds the connection of a successful probe to the pool, if there is room.
    fn adopt(&self, member: Member) {
        let mut state = self.state();
        state.is_probing = false;
        self.recover(&mut state);
        if state.taken < self.0.size as usize && !state.is_closed {
            state.taken += 1;
            self.grow(&mut state);
            drop(state);
            self.release(member);
        }
    }

    pub(super) fn probe(&self) {
        self.probe_with(&mut self.state());
    }

    fn probe_with(&self, state: &mut State) {
        if !state.is_closed && !std::mem::replace(&mut state.is_probing, true) {
            in_background(probe(Arc::downgrade(&self.0), self.task(Duty::Probe)));
        }
    }

    /// A connection was found dead: the others are tested before their next use.
    pub(super) fn suspect(&self) {
        self.state().suspected = Some(Instant::now());
    }

    /// A connection was found outdated: all that were opened before now are closed, unless that is known already.
    pub(super) fn outdate(&self, member: &Member) {
        let mut state = self.state();
        if state.is_current(member) {
            state.outdated = Some(Instant::now());
        }
    }

    /// Records that the server is read-only; new connections may lead to one that is not.
    pub(super) fn found_read_only(&self) {
        let mut state = self.state();
        let now = Instant::now();
        state.read_only = Some(now);
        state.outdated = Some(now);
    }

    /// Was the server found read-only a moment ago? Asking it each time would close connections as fast as requests come.
    pub(super) fn is_read_only(&self) -> bool {
        let found = self.state().read_only;
        found.is_some_and(|found| found.elapsed() < PROBE_EVERY)
    }

    /// Resolves when Postgres answers again after it was unreachable. What is still unanswered then is lost.
    pub(super) async fn recovered(&self) {
        self.0.recovered.notified().await;
    }

    /// Closes every connection once it is released, and grants no more.
    pub(super) async fn close(&self) {
        let idle = {
            let mut state = self.state();
            state.is_closed = true;
            state.waiters.clear();
            std::mem::take(&mut state.idle)
        };
        for member in idle {
            self.close_in_order(member);
        }
        loop {
            let freed = self.0.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.state().taken == 0 {
                return;
            }
            freed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.0
            .dropped
            .take(|duty, tasks| state.correct(duty, tasks));
        state
    }
}

/// Probes until Postgres accepts connections again; one task serves all callers.
async fn probe(pool: Weak<Inner>, task: Task) {
    for turn in 1.. {
        let Some(pool) = pool.upgrade().map(Pool) else {
            return;
        };
        let pause = pool.state().refusal.as_ref().map(|refusal| refusal.pause);
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        // A short attempt notices sooner that the server is back; every fourth is long, for a slow server.
        let limit = if turn % 4 == 0 {
            Duration::MAX
        } else {
            ACQUIRE
        };
        let opened = timeout(limit, pool.0.target.open(Some(pool.0.limit))).await;
        let refusal = match opened.unwrap_or_else(|_| Err(silent())) {
            Ok(opened) => {
                task.done();
                return pool.adopt(Member::new(opened));
            }
            // This says nothing new of the server.
            Err(error) if is_out_of_descriptors(&error) => {
                let mut state = pool.state();
                state.is_probing = state.refusal.is_some() && !state.is_closed;
                if state.is_probing {
                    continue;
                }
                task.done();
                return;
            }
            Err(error) => Refusal::of(error),
        };
        let mut state = pool.state();
        // A server may refuse a connection beyond the pool's size and be well.
        let is_one_too_many = state.refusal.is_none() && !refusal.is_silent;
        if state.is_closed || is_one_too_many {
            task.done();
            state.is_probing = false;
            return;
        }
        pool.refuse(&mut state, refusal);
    }
}

/// Closes connections that were idle for long, or have grown old.
async fn sweep(pool: Weak<Inner>, _task: Task) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(pool) = pool.upgrade().map(Pool) else {
            return;
        };
        let mut state = pool.state();
        let (old, idle) = std::mem::take(&mut state.idle)
            .into_iter()
            .partition(|member| {
                member.idle_since.elapsed() > IDLE && state.refusal.is_none()
                    || !state.is_current(member)
            });
        state.idle = idle;
        drop(state);
        let old: Vec<Member> = old;
        for member in old {
            pool.close_in_order(member);
        }
    }
}

impl State {
    /// Corrects the counts for tasks that were dropped before their end.
    fn correct(&mut self, duty: Duty, tasks: usize) {
        match duty {
            Duty::Settle => self.taken -= tasks,
            Duty::Open => {
                self.taken -= tasks;
                self.opening -= tasks;
            }
            Duty::Probe => self.is_probing = false,
            Duty::Sweep => self.is_sweeping = false,
        }
    }

    /// How many connections are checked out, or being settled.
    fn checked_out(&self) -> usize {
        self.taken - self.opening - self.idle.len()
    }

    /// Not outdated, and not old; an old one is kept while no other can be opened.
    fn is_current(&self, member: &Member) -> bool {
        (Instant::now() < member.expires || self.refusal.is_some())
            && self
                .outdated
                .is_none_or(|outdated| outdated < member.opened)
    }

    fn is_trusted(&self, member: &Member) -> bool {
        let since = member.idle_since;
        since.elapsed() < TEST_AFTER_IDLE && self.suspected.is_none_or(|at| at < since)
    }

    fn next_waiter(&mut self) -> Option<oneshot::Sender<Result<Granted, Error>>> {
        std::iter::from_fn(|| self.waiters.pop_front()).find(|waiting| !waiting.is_closed())
    }

    /// The error for waiters, when no connection will come.
    fn error_for_waiters(&self) -> Option<Error> {
        let refusal = self.refusal.as_ref()?;
        (self.checked_out() == 0 || refusal.is_silent && self.is_stalled())
            .then(|| refusal.error.clone())
    }

    /// Was no connection released for a while?
    fn is_stalled(&self) -> bool {
        self.released.is_none_or(|at| at.elapsed() > STALLED)
    }

    /// Records that this process cannot open another connection; the waiters fail if it has none at all.
    fn run_short(&mut self, shortage: Error) {
        if self.shortage.is_none() {
            tracing::error!(error = %chain(&shortage), "no new connection to Postgres");
        }
        if self.checked_out() == 0 {
            for waiting in self.waiters.drain(..) {
                let _ = waiting.send(Err(shortage.clone()));
            }
        }
        self.shortage = Some(shortage);
    }

    /// Fails the waiters, when no connection will come.
    fn fail_waiters(&mut self) {
        if let Some(error) = self.error_for_waiters() {
            for waiting in self.waiters.drain(..) {
                let _ = waiting.send(Err(error.clone()));
            }
        }
    }
}

impl Member {
    fn new(opened: Opened<'_>) -> Self {
        let now = Instant::now();
        Self {
            connection: opened.connection,
            is_limited: opened.is_limited,
            opened: now,
            // Jitter: connections that were opened together are not closed together.
            expires: now + LIFETIME.mul_f64(0.9 + fastrand::f64() / 10.0),
            idle_since: now,
        }
    }
}

impl Refusal {
    fn of(cause: sqlx::Error) -> Self {
        let code = sqlstate(&cause).unwrap_or_default();
        Self {
            is_silent: !is_telling(&cause),
            // Classes 28, 3D and 53 of the manual's appendix A do not end by themselves in a moment.
            pause: if ["28", "3D", "53"]
                .iter()
                .any(|class| code.starts_with(class))
            {
                PROBE_REFUSAL_EVERY
            } else {
                PROBE_EVERY
            },
            error: refused(cause),
        }
    }

    fn silent() -> Self {
        Self::of(silent())
    }
}

/// The error for a failed connect.
pub(super) fn refused(cause: sqlx::Error) -> Error {
    let code = sqlstate(&cause).unwrap_or_default();
    let message = if is_out_of_descriptors(&cause) {
        "this process has no file descriptor left to reach Postgres with: raise its limit of open files"
    } else if code == "53300" {
        "Postgres has no connection left"
    } else if code.starts_with("28") || code.starts_with("3D") {
        // The manual's appendix A: who connects, and to what.
        "Postgres refuses the connection: check DATABASE_URL"
    } else {
        "Postgres cannot be reached"
    };
    Error::unavailable(message).with_source(cause)
}

pub(super) fn closing() -> Error {
    Error::unavailable("the process is closing")
}
