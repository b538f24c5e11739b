//! What a scheduler and the [`ScheduleStore`](super::ScheduleStore) tell each other.

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

/// The states of schedules, in one snapshot.
#[derive(Clone, Debug)]
pub struct Timetable {
    /// The clock that decides what is due.
    pub now: SystemTime,
    /// Those that are known, of those that were asked for.
    pub schedules: Vec<ScheduleState>,
}

/// The state of one schedule.
#[derive(Clone, Debug)]
pub struct ScheduleState {
    /// Its name.
    pub name: String,
    /// Ticks up to this moment are not due: it was first seen then, changed, or resumed.
    pub since: SystemTime,
    /// Whether it is paused.
    pub is_paused: bool,
    /// The fencing token: every firing and every change raises it.
    pub epoch: i64,
    /// The newest fired tick that is not in the future, and its job.
    pub newest: Option<(SystemTime, JobId)>,
}

/// The due ticks of one schedule, to be fired.
#[derive(Clone, Debug)]
pub struct DueTicks {
    /// The schedule.
    pub schedule: String,
    /// The epoch of the state from which they were chosen.
    pub epoch: i64,
    /// The ticks with their jobs, the earliest first.
    pub ticks: Vec<(SystemTime, Draft)>,
}

/// The result of a firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a stale firing has fired nothing"]
pub enum Fired {
    /// How many jobs were enqueued. Ticks that were fired before are left out.
    Enqueued(usize),
    /// The schedule has changed since, or is paused: nothing was fired.
    Stale,
}

impl DueTicks {
    /// The queues on which a job is due now.
    pub(crate) fn queues_due_now(&self) -> Vec<String> {
        due_now(self.ticks.iter().map(|(_, draft)| draft))
    }
}
