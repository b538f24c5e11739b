//! The names of a job and of a worker.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use twelve_core::Error;
use uuid::Uuid;

/// What every name has: the UUID that a store writes.
macro_rules! uuid_inside {
    ($name:ident) => {
        impl $name {
            pub(crate) fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID.
            #[must_use]
            pub fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }
    };
}

/// The name of one job.
///
/// The producer makes it (a UUID of version 7, so it sorts by time), and no two jobs ever share one: the keys of [`Steps`](crate::Steps) are made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Uuid);

impl JobId {
    pub(crate) fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

uuid_inside!(JobId);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for JobId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong =
            |error| Error::usage(format!("`{text}` is not the id of a job")).with_source(error);
        text.parse().map(Self).map_err(wrong)
    }
}

/// The name of one start of a worker process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(Uuid);

impl WorkerId {
    /// The name of a worker that starts now.
    #[doc(hidden)]
    #[must_use]
    #[allow(clippy::new_without_default, reason = "every one is another")]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

uuid_inside!(WorkerId);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// The name of one claim: of the batch of jobs that a worker took at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimId(Uuid);

impl ClaimId {
    /// The name of a claim that is made now.
    #[allow(clippy::new_without_default, reason = "every one is another")]
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

uuid_inside!(ClaimId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_what_it_writes() {
        let id = JobId::new();
        assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
        assert!("nonsense".parse::<JobId>().unwrap_err().is_usage());
    }

    #[test]
    fn ids_sort_by_time() {
        let ids: Vec<_> = (0..100).map(|_| JobId::new()).collect();
        assert!(ids.is_sorted());
    }
}
