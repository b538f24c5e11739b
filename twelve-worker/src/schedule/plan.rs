//! A checked schedule: when its ticks are due, and their jobs.

use jiff::Timestamp;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{Schedule, missed::Missed, tick::payload, timing::Timing};
use crate::{
    job::{
        draft::{Draft, Due},
        id::JobId,
        label,
        policy::Policy,
    },
    store::timetable::{DueTicks, Registration, ScheduleState},
};

/// The longest jitter: a longer one would mix the ticks of two days.
const MAX_JITTER: Duration = Duration::from_hours(24);

/// A registered schedule.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    name: Arc<str>,
    kind: String,
    timing: Timing,
    missed: Missed,
    jitter: Duration,
    policy: Policy,
}

impl Plan {
    /// # Errors
    ///
    /// Everything that is wrong, in sentences without a full stop.
    pub(crate) fn new(schedule: Schedule) -> Result<Self, Vec<String>> {
        let kind = format!("schedule.{}", schedule.name);
        let mut faults = Vec::new();
        let name = label::check(&schedule.name).and_then(|()| label::check(&kind));
        for check in [name, schedule.missed.check(), schedule.policy.check()] {
            faults.extend(check.err());
        }
        if schedule.jitter > MAX_JITTER {
            faults.push("the jitter is longer than a day".to_owned());
        }
        if schedule.policy.uniqueness().is_some() {
            faults.push("its ticks are unique as they are: `unique` is for other jobs".to_owned());
        }
        match Timing::new(&schedule.cron, &schedule.zone) {
            Ok(timing) if faults.is_empty() => Ok(Self {
                name: Arc::from(&*schedule.name),
                kind,
                timing,
                missed: schedule.missed,
                jitter: schedule.jitter,
                policy: schedule.policy,
            }),
            timing => {
                faults.extend(timing.err().into_iter().flatten());
                let fault = |fault| format!("the schedule `{}`: {fault}", schedule.name);
                Err(faults.into_iter().map(fault).collect())
            }
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The kind of its jobs.
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What the store registers of it.
    pub(super) fn registration(&self) -> Registration {
        Registration {
            name: self.name.to_string(),
            cron: self.timing.cron().to_owned(),
            zone: self.timing.zone().to_owned(),
        }
    }

    /// The ticks to fire now, if there are any.
    pub(super) fn due_ticks(&self, state: &ScheduleState, now: Timestamp) -> Option<DueTicks> {
        if state.is_paused {
            return None;
        }
        let ticks = self.missed.choose(&self.timing, baseline(state)?, now);
        let draft = |at: &Timestamp| (SystemTime::from(*at), self.draft(*at));
        (!ticks.is_empty()).then(|| DueTicks {
            schedule: self.name.to_string(),
            epoch: state.epoch,
            ticks: ticks.iter().map(draft).collect(),
        })
    }

    /// The first tick after this moment.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.timing.next(after)
    }

    /// The job of one tick.
    pub(super) fn draft(&self, at: Timestamp) -> Draft {
        Draft {
            id: JobId::new(),
            kind: self.kind.clone().into(),
            queue: self.policy.queue_name().to_owned().into(),
            payload: payload(at),
            max_attempts: self.policy.max_attempts(),
            due: match self.jitter {
                Duration::ZERO => Due::Now,
                longest => Due::After(longest.mul_f64(fastrand::f64())),
            },
            priority: self.policy.default_priority(),
            tags: Vec::new(),
            metadata: None,
            unique: None,
        }
    }
}

/// The moment up to which every tick has been fired or skipped.
///
/// A fired tick in the future is ignored here: the clock was ahead then and has been set back. Otherwise the schedule would be silent for as long as that clock was ahead.
/// Such a tick still cannot fire twice, since its row exists.
fn baseline(state: &ScheduleState) -> Option<Timestamp> {
    let newest = state.newest.map(|(tick, _)| tick);
    Timestamp::try_from(state.since.max(newest.unwrap_or(state.since))).ok()
}
