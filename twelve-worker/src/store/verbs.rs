//! What people can pause and cancel, and the results.

use serde::Serialize;
use std::fmt;

use crate::job::{id::JobId, timestamp::Timestamp};

/// What can be paused.
///
/// ```
/// use twelve_worker::Pausable;
///
/// assert_eq!(Pausable::Queue("mail".into()).to_string(), "queue `mail`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pausable {
    /// A queue: no worker takes its jobs.
    Queue(String),
    /// A kind: its jobs are held back, those of other kinds on the same queue run.
    Kind(String),
}

impl Pausable {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Queue(name) | Self::Kind(name) => name,
        }
    }

    /// `queue` or `kind`.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        match self {
            Self::Queue(_) => "queue",
            Self::Kind(_) => "kind",
        }
    }
}

impl fmt::Display for Pausable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.what(), self.name())
    }
}

/// Something that is paused.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Paused {
    /// What.
    #[serde(flatten)]
    pub what: Pausable,
    /// Since when.
    pub since: Timestamp,
}

/// The result of cancelling jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Cancellation {
    /// They had not started, and never will.
    pub cancelled: Vec<JobId>,
    /// They run: their cancellation is requested.
    pub requested: Vec<JobId>,
}
