//! Schedules: cron entries whose ticks are enqueued as jobs.
//!
//! ```text
//! scheduler: look ─► due ticks ─► choose by `Missed` ─► fire: tick + job, one commit ─► sleep
//!              ▲                                                     │
//!              └────────── at the next tick, after 10 s at most ─────┘
//! worker: claim ─► handler with its `Tick`
//! ```
//!
//! - No tick enqueues twice: `(schedule, tick)` is a unique row, written in the transaction of the enqueue.
//! - Any number of schedulers may run, without a leader. Firing names the epoch of the schedule's state, its fencing token, and is refused when that has changed.
//! - Only Postgres' clock decides what is due. A scheduler's own clock only measures its sleep.

pub(crate) mod admin;
mod cron;
pub(crate) mod missed;
pub(crate) mod plan;
pub(crate) mod scheduler;
pub(crate) mod tick;
mod timing;

use std::{borrow::Cow, time::Duration};

use self::missed::Missed;
use crate::job::policy::Policy;

/// A cron entry: when a handler is enqueued, and as what kind of job.
///
/// ```
/// # use std::time::Duration;
/// # use twelve_worker::{Missed, Policy, Schedule};
/// let daily = Schedule::cron("daily-sales", "0 6 * * *").zone("Europe/Berlin");
/// let often = Schedule::cron("expire-unpaid", "* * * * *")
///     .missed(Missed::Skip)
///     .jitter(Duration::from_secs(5))
///     .policy(Policy::new().queue("reports").attempts(3));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a schedule does nothing until it is registered with its handler"]
pub struct Schedule {
    name: Cow<'static, str>,
    cron: Cow<'static, str>,
    zone: Cow<'static, str>,
    missed: Missed,
    jitter: Duration,
    policy: Policy,
}

impl Schedule {
    /// A schedule of this name, which never changes, with this cron expression; its jobs are of the kind `schedule.NAME`.
    ///
    /// The expression has five fields (minute, hour, day, month, weekday), or six with the seconds first.
    /// Months and weekdays may be named (`jan`, `mon`), Sunday is 0 and 7; `L`, `W` and `#` work as in croner.
    /// When both day and weekday are restricted, either matches, as in Vixie's cron: `0 0 13 * fri` is every 13th and every Friday.
    ///
    /// When clocks are set forward, a tick whose time does not exist comes at the first moment after the gap. When they are set back, a time that exists twice counts once, the first time.
    /// A frequency is an expression that begins with `*` in its seconds, minutes or hours. It ticks both times; if its hour is `*`, it has no tick in a gap.
    ///
    /// The boot checks both: see [`Registry::faults`](crate::Registry::faults).
    pub fn cron(
        name: impl Into<Cow<'static, str>>,
        expression: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            name: name.into(),
            cron: expression.into(),
            zone: Cow::Borrowed("UTC"),
            missed: Missed::default(),
            jitter: Duration::ZERO,
            policy: Policy::new(),
        }
    }

    /// The time zone of the expression, by its IANA name; `UTC` unless set.
    pub fn zone(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.zone = name.into();
        self
    }

    /// What happens to missed ticks; [`Missed::Once`] unless set.
    pub fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }

    /// Jitter: delays each job by a random time up to this one, a day at most, so that not all apps call a service at the same moment.
    ///
    /// The tick stays exact.
    pub fn jitter(mut self, longest: Duration) -> Self {
        self.jitter = longest;
        self
    }

    /// How its jobs are run.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }
}
