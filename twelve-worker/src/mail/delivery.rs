//! One copy of a mail on its way.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::{QUEUE, letter::Letter, mailbox::Mailbox};
use crate::job::{Job, policy::Policy, retention::Keep};

/// The copy of a mail for one recipient: the job of kind `mail`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Delivery {
    /// What all copies share.
    #[serde(flatten)]
    pub letter: Letter,
    /// Who gets this one.
    pub recipient: Mailbox,
}

impl Delivery {
    /// The copy of this mail for this recipient.
    #[must_use]
    pub fn new(letter: Letter, recipient: Mailbox) -> Self {
        Self { letter, recipient }
    }
}

#[diagnostic::do_not_recommend]
impl Job for Delivery {
    const KIND: &'static str = QUEUE;

    /// A hundred attempts, whose pauses double from 10 s to 1 h: at least 45 hours, 67 on average, so an outage over a weekend's nights loses nothing.
    ///
    /// An attempt that finds no server is put off ten times within three minutes before it counts, as with every backing service.
    /// The attempt may take as long as RFC 5321 (section 4.5.3.2) lets a server take to confirm a mail: giving up earlier sends it twice.
    fn policy() -> Policy {
        Policy::new()
            .queue(QUEUE)
            .attempts(100)
            .timeout(Duration::from_mins(15))
            .backoff(Duration::from_secs(10))
            .max_backoff(Duration::from_hours(1))
            .keep(Keep::Everything)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_outlives_an_outage_of_almost_two_days() {
        let policy = Delivery::policy();
        assert_eq!(policy.check(), Ok(()));
        let pauses = (1..policy.max_attempts()).map(|failures| policy.pause_after(failures));
        assert!(pauses.sum::<Duration>() > Duration::from_hours(45));
    }
}
