//! The pool: which connections there are, who waits for one, and what is known of the server.
//!
//! ```text
//! acquire ─► idle, trusted or tested ──────────────────────────┐
//!      └───► a place in the line ─► one that is given back, ───┴─► Lease
//!                     or one that a task of its own has opened
//! ```
//!
//! A connection is opened by a task, not by whoever waits: a request that its client takes back leaves no half-opened connection behind.
//! A connect that fails concerns only those who need a new connection, and they wait for one that is given back while some are lent.

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

/// How often the server is looked at while it takes no connections, or no writes.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The same while it refuses who we are, or how many: each try is a line in its log.
const LOOK_AT_REFUSAL: Duration = Duration::from_secs(1);

/// A server that has gone silent is not waited for when no connection has come back for this long.
const STALLED: Duration = Duration::from_millis(500);

/// A connection that nobody has used for this long is closed.
const IDLE: Duration = Duration::from_mins(10);

/// A connection that is older is closed: what its backend has cached only grows.
const LIFETIME: Duration = Duration::from_mins(30);

/// How often idle connections are looked through.
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
    /// Postgres takes connections again.
    back: Notify,
    /// A place has become free.
    freed: Arc<Notify>,
}

#[derive(Default)]
struct State {
    /// The last one in is the first one out, so that those beyond the need grow old.
    idle: Vec<Member>,
    /// Who waits for a connection, in order.
    line: VecDeque<oneshot::Sender<Result<Granted, Error>>>,
    /// Places taken: by connections that are idle, lent or being settled, and by attempts to open one.
    taken: usize,
    /// How many of them are attempts.
    opening: usize,
    /// Why the last attempt failed, until one succeeds.
    refusal: Option<Refusal>,
    /// Why this process itself could not open another one, until it can.
    shortage: Option<Error>,
    /// Is there a task that waits for the end of the refusal?
    is_looking: bool,
    /// Is there a task that closes what has grown old?
    is_sweeping: bool,
    /// When a connection last came back.
    given_back: Option<Instant>,
    /// When a connection was last found dead: siblings that are idle since before are tested.
    suspected: Option<Instant>,
    /// When a connection was last found useless: siblings that were opened before are closed.
    outdated: Option<Instant>,
    /// When the server last said that it takes no writes.
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

/// A connection on its way to whoever asked for it: it goes back to the pool unless it is taken out.
pub(super) struct Granted {
    pub(super) pool: Pool,
    pub(super) member: Option<Member>,
}

impl Drop for Granted {
    fn drop(&mut self) {
        if let Some(member) = self.member.take() {
            self.pool.give_back(member);
        }
    }
}

#[derive(Clone)]
struct Refusal {
    error: Error,
    /// Did no server answer? Connections that are open may then be as dead.
    is_silent: bool,
    /// When to try again.
    pause: Duration,
}

/// What somebody who asks for a connection gets at once.
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
            back: Notify::new(),
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

    /// What somebody who asks for a connection gets at once.
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
        if let Some(error) = state.hopeless() {
            return Err(error);
        }
        // Those who have waited for too long have left, the first in line first.
        while state.line.front().is_some_and(oneshot::Sender::is_closed) {
            state.line.pop_front();
        }
        let (sender, receiver) = oneshot::channel();
        state.line.push_back(sender);
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
        if state.lent() == 0 && state.opening > 0 {
            let refusal = Refusal::silent();
            let error = refusal.error.clone();
            self.refuse(&mut state, refusal);
            return error;
        }
        if state.is_stalled() {
            // Busy, or lost with their server? A connect finds out, for those who ask next.
            self.look_with(&mut state);
        }
        Error::unavailable(
            "as many connections to Postgres as TWELVE_DATABASE_POOL allows were busy for 2 s",
        )
    }

    /// Takes a connection back that has nothing outstanding.
    pub(super) fn give_back(&self, mut member: Member) {
        let mut state = self.state();
        let now = Instant::now();
        state.given_back = Some(now);
        if state.is_closed || !state.is_current(&member) {
            return self.close_in_order(member);
        }
        member.idle_since = now;
        if let Some(waiting) = state.next_in_line() {
            drop(state);
            // When the receiver is gone by now, this drops the connection, which brings it here again.
            let _ = waiting.send(Ok(self.grant(member)));
        } else {
            state.idle.push(member);
        }
    }

    /// Closes a connection in order, which takes its place for that long.
    fn close_in_order(&self, member: Member) {
        let (pool, task) = (self.clone(), self.settling());
        in_background(async move {
            let _ = timeout(TEST, member.connection.close()).await;
            task.done();
            pool.free();
        });
    }

    /// A task that frees the place of a connection, or gives it back.
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
        state.disappoint();
        drop(state);
        self.0.freed.notify_waiters();
    }

    /// Lets as many connections be opened as are waited for, and the pool may have.
    fn grow(&self, state: &mut State) {
        if state.refusal.is_some() || state.is_closed {
            return;
        }
        while state.opening < state.line.len() && state.taken < self.0.size as usize {
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
            // The server had gone silent, and this attempt with it.
            () = self.back() => {
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
                self.give_back(Member::new(opened));
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

    /// Postgres is as it was: those who wait get what is given back, or what can be opened in a moment.
    async fn grow_later(self) {
        tokio::time::sleep(LOOK_EVERY).await;
        self.grow(&mut self.state());
    }

    /// Remembers that no connection is to be had, tells those who wait in vain, and waits for the end of it.
    fn refuse(&self, state: &mut State, refusal: Refusal) {
        if state.refusal.is_none() {
            tracing::warn!(error = %chain(&refusal.error), "no new connection to Postgres");
        }
        state.refusal = Some(refusal);
        state.disappoint();
        self.look_with(state);
    }

    /// Forgets the refusal: a connection was to be had.
    fn recover(&self, state: &mut State) {
        state.shortage = None;
        if let Some(refusal) = state.refusal.take() {
            tracing::info!("Postgres takes connections again");
            if refusal.is_silent {
                self.0.back.notify_waiters();
            }
        }
    }

    /// Takes in the connection by which a look has found the server: as one of the pool's, if there is room.
    fn welcome(&self, member: Member) {
        let mut state = self.state();
        state.is_looking = false;
        self.recover(&mut state);
        if state.taken < self.0.size as usize && !state.is_closed {
            state.taken += 1;
            self.grow(&mut state);
            drop(state);
            self.give_back(member);
        }
    }

    pub(super) fn look(&self) {
        self.look_with(&mut self.state());
    }

    fn look_with(&self, state: &mut State) {
        if !state.is_closed && !std::mem::replace(&mut state.is_looking, true) {
            in_background(look(Arc::downgrade(&self.0), self.task(Duty::Look)));
        }
    }

    /// A connection was found dead: its siblings are tested before they are used.
    pub(super) fn suspect(&self) {
        self.state().suspected = Some(Instant::now());
    }

    /// A connection was found useless: it and its siblings are closed, unless that is known already.
    pub(super) fn outdate(&self, member: &Member) {
        let mut state = self.state();
        if state.is_current(member) {
            state.outdated = Some(Instant::now());
        }
    }

    /// Remembers that the server takes no writes, and that other connections may lead to one that does.
    pub(super) fn found_read_only(&self) {
        let mut state = self.state();
        let now = Instant::now();
        state.read_only = Some(now);
        state.outdated = Some(now);
    }

    /// Has the server said a moment ago that it takes no writes? Asking each time would close connections as fast as requests come.
    pub(super) fn is_read_only(&self) -> bool {
        let found = self.state().read_only;
        found.is_some_and(|found| found.elapsed() < LOOK_EVERY)
    }

    /// Waits until Postgres takes connections again after a silence. One that is silent even then is not worth waiting for.
    pub(super) async fn back(&self) {
        self.0.back.notified().await;
    }

    /// Closes every connection once it is given back; nobody gets one any more.
    pub(super) async fn close(&self) {
        let idle = {
            let mut state = self.state();
            state.is_closed = true;
            state.line.clear();
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

/// Waits until Postgres takes connections again; one task serves all.
async fn look(pool: Weak<Inner>, task: Task) {
    for turn in 1.. {
        let Some(pool) = pool.upgrade().map(Pool) else {
            return;
        };
        let pause = pool.state().refusal.as_ref().map(|refusal| refusal.pause);
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        // An attempt that began in a silence may miss its end, but a slow server needs a long one.
        let limit = if turn % 4 == 0 {
            Duration::MAX
        } else {
            ACQUIRE
        };
        let opened = timeout(limit, pool.0.target.open(Some(pool.0.limit))).await;
        let refusal = match opened.unwrap_or_else(|_| Err(silent())) {
            Ok(opened) => {
                task.done();
                return pool.welcome(Member::new(opened));
            }
            // What was known of the server is all that is known.
            Err(error) if is_out_of_descriptors(&error) => {
                let mut state = pool.state();
                state.is_looking = state.refusal.is_some() && !state.is_closed;
                if state.is_looking {
                    continue;
                }
                task.done();
                return;
            }
            Err(error) => Refusal::of(error),
        };
        let mut state = pool.state();
        // That it refuses one more than the pool may have says nothing.
        let is_one_too_many = state.refusal.is_none() && !refusal.is_silent;
        if state.is_closed || is_one_too_many {
            task.done();
            state.is_looking = false;
            return;
        }
        pool.refuse(&mut state, refusal);
    }
}

/// Closes what nobody has used for long.
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
    /// Takes tasks out of the books that were dropped before their end.
    fn correct(&mut self, duty: Duty, tasks: usize) {
        match duty {
            Duty::Settle => self.taken -= tasks,
            Duty::Open => {
                self.taken -= tasks;
                self.opening -= tasks;
            }
            Duty::Look => self.is_looking = false,
            Duty::Sweep => self.is_sweeping = false,
        }
    }

    /// Connections that somebody has, or that are being settled.
    fn lent(&self) -> usize {
        self.taken - self.opening - self.idle.len()
    }

    /// One that has grown old is kept while there is no other.
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

    fn next_in_line(&mut self) -> Option<oneshot::Sender<Result<Granted, Error>>> {
        std::iter::from_fn(|| self.line.pop_front()).find(|waiting| !waiting.is_closed())
    }

    /// The error for somebody who needs a connection while none will come.
    fn hopeless(&self) -> Option<Error> {
        let refusal = self.refusal.as_ref()?;
        (self.lent() == 0 || refusal.is_silent && self.is_stalled()).then(|| refusal.error.clone())
    }

    /// Has no connection come back for a while?
    fn is_stalled(&self) -> bool {
        self.given_back.is_none_or(|at| at.elapsed() > STALLED)
    }

    /// Remembers that this process cannot open another connection; those who wait are told when there is none at all.
    fn run_short(&mut self, shortage: Error) {
        if self.shortage.is_none() {
            tracing::error!(error = %chain(&shortage), "no new connection to Postgres");
        }
        if self.lent() == 0 {
            for waiting in self.line.drain(..) {
                let _ = waiting.send(Err(shortage.clone()));
            }
        }
        self.shortage = Some(shortage);
    }

    /// Tells those who wait in vain.
    fn disappoint(&mut self) {
        if let Some(error) = self.hopeless() {
            for waiting in self.line.drain(..) {
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
            // Those that were opened together do not end together.
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
                LOOK_AT_REFUSAL
            } else {
                LOOK_EVERY
            },
            error: refused(cause),
        }
    }

    fn silent() -> Self {
        Self::of(silent())
    }
}

/// What a failed connect is told as.
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
    Error::unavailable(message).because(cause)
}

pub(super) fn closing() -> Error {
    Error::unavailable("the process is closing")
}
