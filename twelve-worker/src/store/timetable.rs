//! What a scheduler and the [`Calendar`](super::Calendar) tell each other.

use std::time::SystemTime;

use crate::job::{
    draft::{Draft, due_now},
    id::JobId,
};

/// A schedule as an app has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its name.
    pub name: String,
    /// Its cron expression.
    pub cron: String,
    /// Its time zone, by IANA name.
    pub zone: String,
}

/// Schedules at one moment.
#[derive(Clone, Debug)]
pub struct Timetable {
    /// The clock that decides what is due.
    pub now: SystemTime,
    /// Those that are known, of those that were asked for.
    pub schedules: Vec<Standing>,
}

/// Where a schedule stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// Ticks up to this moment are not due: it was first seen then, changed, or resumed.
    pub since: SystemTime,
    /// Has somebody paused it?
    pub is_paused: bool,
    /// The fence: it grows with every firing and every change.
    pub epoch: i64,
    /// The newest tick that was fired, of those that do not lie ahead, and its job.
    pub newest: Option<(SystemTime, JobId)>,
}

/// Ticks that are to be fired.
#[derive(Clone, Debug)]
pub struct Firing {
    /// The schedule.
    pub schedule: String,
    /// The epoch of the standing on which they were chosen.
    pub epoch: i64,
    /// The ticks with their jobs, in their order.
    pub ticks: Vec<(SystemTime, Draft)>,
}

/// What became of a firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a stale firing has fired nothing"]
pub enum Fired {
    /// So many jobs were enqueued; ticks that had been fired before are left out.
    Enqueued(usize),
    /// The schedule has changed since, or is paused: nothing was fired.
    Stale,
}

impl Firing {
    /// The queues on which a job is due at once.
    pub(crate) fn queues_due_now(&self) -> Vec<String> {
        due_now(self.ticks.iter().map(|(_, draft)| draft))
    }
}
