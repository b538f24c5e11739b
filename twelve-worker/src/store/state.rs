//! The states of a job, and the causes of errors.

use serde::{Serialize, Serializer};
use std::{fmt, str::FromStr};
use twelve_core::Error;

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum State {
    /// It waits for a worker.
    Waiting,
    /// It waits for its time.
    Scheduled,
    /// A worker runs it.
    Running,
    /// It is done.
    Done,
    /// It failed for good. It is kept until somebody retries or discards it.
    Failed,
    /// A handler or a person discarded it.
    Discarded,
    /// A person cancelled it.
    Cancelled,
}

impl State {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Scheduled,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Discarded,
        Self::Cancelled,
    ];

    /// The state's name, as listings show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Discarded => "discarded",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for State {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|state| state.name() == text);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::usage(format!(
                "`{text}` is not a state of a job: write one of {names}"
            ))
        })
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What kind of error is recorded on a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The handler failed, panicked, or took too long.
    Failed,
    /// A backing service was unavailable.
    Unavailable,
    /// The worker died.
    Crashed,
    /// No handler was registered for the kind.
    UnknownKind,
    /// The payload could not be read.
    Undecodable,
    /// A handler or a person discarded it.
    Discarded,
    /// A person cancelled it.
    Cancelled,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Failed,
        Self::Unavailable,
        Self::Crashed,
        Self::UnknownKind,
        Self::Undecodable,
        Self::Discarded,
        Self::Cancelled,
    ];

    /// The cause's name, as the store and listings write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Unavailable => "unavailable",
            Self::Crashed => "crashed",
            Self::UnknownKind => "unknown_kind",
            Self::Undecodable => "undecodable",
            Self::Discarded => "discarded",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_what_it_writes() {
        for state in State::ALL {
            assert_eq!(state.name().parse::<State>().unwrap(), state);
        }
        assert!("asleep".parse::<State>().unwrap_err().is_usage());
    }
}
