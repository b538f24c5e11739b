//! Why a job is in its state, in sentences.

use serde::Serialize;
use std::fmt;

use super::state::State;
use crate::job::{
    id::{JobId, WorkerId},
    timestamp::Timestamp,
};

/// The state of a job, and what it waits for.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Why {
    /// The job.
    pub job: JobId,
    /// Its state; `None` when there is no such job.
    pub state: Option<State>,
    /// All reasons, the most important first; there is at least one.
    pub reasons: Vec<Reason>,
}

/// One reason why a job does not run, or how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// There is no job of this id: it is done and was not kept, or never was.
    Unknown,
    /// It has ended.
    Ended {
        /// How.
        state: State,
        /// When.
        at: Timestamp,
        /// The last error that is recorded on it.
        error: Option<String>,
    },
    /// A worker runs it.
    Running {
        /// Its name.
        worker: WorkerId,
        /// Its process type.
        process_type: String,
        /// Its host.
        host: String,
        /// Its process id there.
        pid: u32,
        /// Since when.
        since: Timestamp,
    },
    /// It runs, and its cancellation is requested.
    Stopping {
        /// Why.
        because: String,
    },
    /// The worker that had it is gone; it is taken back within 30 s.
    WorkerGone {
        /// Its name.
        worker: WorkerId,
    },
    /// Its time has not come.
    Scheduled {
        /// When it comes.
        until: Timestamp,
        /// The last error of the job, if it waits for its next attempt.
        error: Option<String>,
    },
    /// Somebody paused its queue.
    QueuePaused {
        /// The queue.
        queue: String,
        /// Since when.
        since: Timestamp,
    },
    /// Somebody paused its kind.
    KindPaused {
        /// The kind.
        kind: String,
        /// Since when.
        since: Timestamp,
    },
    /// No worker that is registered takes jobs of its queue.
    NoWorker {
        /// The queue.
        queue: String,
    },
    /// No worker that takes jobs of its queue has a handler for its kind.
    NoHandler {
        /// The kind.
        kind: String,
    },
    /// All workers that would take it are stopping.
    Draining,
    /// A worker died that held it: it runs alone next.
    Suspect,
    /// Others go before it.
    Behind {
        /// How many; they are counted up to a thousand.
        jobs: usize,
        /// There may be more.
        at_least: bool,
    },
    /// The executor slots of the workers that would take it are busy.
    Busy {
        /// How many jobs they hold.
        held: u64,
        /// How many they run at a time.
        concurrency: u64,
    },
    /// Nothing holds it back: it starts in a moment.
    Next,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str(
                "there is no job of this id: it is done and was not kept, or it never was",
            ),
            Self::Ended { state, at, error } => {
                write!(f, "it is {state} since {at}")?;
                because(f, error.as_deref())
            }
            Self::Running {
                worker,
                process_type,
                host,
                pid,
                since,
            } => write!(
                f,
                "it runs: `{process_type}` on {host} (pid {pid}, worker {worker}) took it at {since}"
            ),
            Self::Stopping { because } => {
                write!(f, "cancellation requested: {because}")
            }
            Self::WorkerGone { worker } => write!(
                f,
                "worker {worker}, which had it, is gone: another takes it back within 30 s"
            ),
            Self::Scheduled { until, error } => {
                write!(f, "it is due at {until}")?;
                because(f, error.as_deref())
            }
            Self::QueuePaused { queue, since } => write!(
                f,
                "queue `{queue}` is paused since {since}: `jobs resume --queue {queue}` ends that"
            ),
            Self::KindPaused { kind, since } => write!(
                f,
                "kind `{kind}` is paused since {since}: `jobs resume --kind {kind}` ends that"
            ),
            Self::NoWorker { queue } => {
                write!(f, "no worker that runs now takes jobs of queue `{queue}`")
            }
            Self::NoHandler { kind } => write!(
                f,
                "no worker that takes its queue has a handler for kind `{kind}`"
            ),
            Self::Draining => f.write_str("all workers that would take it are stopping"),
            Self::Suspect => {
                f.write_str("a worker died that held it: it runs alone as soon as one is idle")
            }
            Self::Behind { jobs, at_least } => {
                let number = if *at_least { "at least " } else { "" };
                let others = if *jobs == 1 {
                    "other goes"
                } else {
                    "others go"
                };
                write!(f, "{number}{jobs} {others} before it on its queue")
            }
            Self::Busy { held, concurrency } => write!(
                f,
                "the workers that would take it are busy: they run {concurrency} at a time and hold {held}"
            ),
            Self::Next => f.write_str("nothing holds it back: it starts in a moment"),
        }
    }
}

/// The first line: `show` has the whole text.
fn because(f: &mut fmt::Formatter<'_>, error: Option<&str>) -> fmt::Result {
    match error.and_then(|error| error.lines().next()) {
        Some(error) => write!(f, ", after: {error}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_sentence() {
        let behind = |jobs, at_least| Reason::Behind { jobs, at_least }.to_string();
        assert_eq!(behind(1, false), "1 other goes before it on its queue");
        assert_eq!(
            behind(1000, true),
            "at least 1000 others go before it on its queue"
        );
        let scheduled = Reason::Scheduled {
            until: "2030-01-01T00:00:00Z".parse().unwrap(),
            error: Some("card declined\nat line 7".into()),
        };
        assert_eq!(
            scheduled.to_string(),
            "it is due at 2030-01-01T00:00:00.000000Z, after: card declined"
        );
    }
}
