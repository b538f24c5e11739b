//! The result of an enqueue.

use std::fmt;

use crate::job::id::JobId;

/// The result of an enqueue: a new job; or the holder of its key, if it is [unique](crate::Unique).
///
/// A job that was rejected is an error, of which [`Error::is_duplicate`](twelve_core::Error::is_duplicate) is true.
///
/// ```no_run
/// # use serde::{Serialize, Deserialize};
/// # use twelve_core::{Error, Result};
/// # use twelve_worker::{Enqueued, Job, Jobs, Unique};
/// # #[derive(Serialize, Deserialize)] struct Remind { order: u64 }
/// # impl Job for Remind { const KIND: &'static str = "remind"; }
/// fn tell(enqueued: Enqueued) {
///     if enqueued.is_new() {
///         println!("job {} is on its way", enqueued.id());
///     } else {
///         println!("it is on its way already: {enqueued}"); // kept 0198c0de-…
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Enqueued {
    id: JobId,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    New,
    Kept,
    Replaced,
}

impl Enqueued {
    pub(crate) fn new(id: JobId) -> Self {
        let what = What::New;
        Self { id, what }
    }

    pub(crate) fn kept(id: JobId) -> Self {
        let what = What::Kept;
        Self { id, what }
    }

    pub(crate) fn replaced(id: JobId) -> Self {
        let what = What::Replaced;
        Self { id, what }
    }
}

impl Enqueued {
    /// The job that runs: the new one, or the holder of the key.
    #[must_use]
    pub fn id(self) -> JobId {
        self.id
    }

    /// Is it a new job?
    #[must_use]
    pub fn is_new(self) -> bool {
        self.what == What::New
    }

    /// Whether another job holds its key, and was left as it is.
    #[must_use]
    pub fn was_kept(self) -> bool {
        self.what == What::Kept
    }

    /// Whether another job holds its key, and now has the payload of this one.
    #[must_use]
    pub fn was_replaced(self) -> bool {
        self.what == What::Replaced
    }

    fn word(self) -> &'static str {
        match self.what {
            What::New => "new",
            What::Kept => "kept",
            What::Replaced => "replaced",
        }
    }
}

impl fmt::Display for Enqueued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.word(), self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_which_job_and_what_became_of_it() {
        let id = JobId::new();
        let answers = [
            (Enqueued::new(id), [true, false, false], "new"),
            (Enqueued::kept(id), [false, true, false], "kept"),
            (Enqueued::replaced(id), [false, false, true], "replaced"),
        ];
        for (answer, expected, word) in answers {
            let said = [answer.is_new(), answer.was_kept(), answer.was_replaced()];
            assert_eq!((answer.id(), said), (id, expected));
            assert_eq!(answer.to_string(), format!("{word} {id}"));
        }
    }
}
