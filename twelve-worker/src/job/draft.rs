//! A draft: a job before it is in the store.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    str::FromStr,
    time::{Duration, SystemTime},
};
use twelve_core::Error;

use super::{id::JobId, priority::Priority, timestamp::Timestamp, unique::UniqueKey};

/// A job to be added.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its name.
    pub id: JobId,
    /// Its kind.
    pub kind: Cow<'static, str>,
    /// Its queue.
    pub queue: Cow<'static, str>,
    /// Its payload, as JSON.
    pub payload: String,
    /// How many attempts it is granted.
    pub max_attempts: u32,
    /// When it is due.
    pub due: Due,
    /// Its priority among the due jobs of its queue.
    pub priority: Priority,
    /// Its tags, by which people find it.
    pub tags: Vec<String>,
    /// Its metadata, a JSON object.
    pub metadata: Option<String>,
    /// Its unique key.
    pub unique: Option<UniqueKey>,
}

/// When a job is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Due {
    /// At once.
    Now,
    /// After this time, by the store's clock.
    After(Duration),
    /// At this moment.
    At(SystemTime),
}

/// A moment in RFC 3339, such as `2030-01-31T06:00:00Z`.
impl FromStr for Due {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.parse::<Timestamp>()
            .map(|moment| Self::At(moment.into()))
    }
}

/// The queues on which a job is due now: only their workers are woken.
pub(crate) fn due_now<'d>(drafts: impl IntoIterator<Item = &'d Draft>) -> Vec<String> {
    let due = drafts.into_iter().filter(|draft| draft.due == Due::Now);
    let queues: BTreeSet<&str> = due.map(|draft| &*draft.queue).collect();
    queues.into_iter().map(str::to_owned).collect()
}
