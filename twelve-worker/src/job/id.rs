//! The ids of jobs, workers and claims.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use twelve_core::Error;
use uuid::Uuid;

/// What every id has: the UUID that a store writes.
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

/// The id of one job.
///
/// The producer makes it: a UUID of version 7, which sorts by time. No two jobs ever have the same; the keys of [`Steps`](crate::Steps) are made from it.
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

/// The id of one worker process; each start has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(Uuid);

impl WorkerId {
    /// The id of a worker that starts now.
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

/// The id of one claim: the jobs that a worker took in one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimId(Uuid);

impl ClaimId {
    /// The id of a claim that is made now.
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
