//! One copy of a mail on its way, and the process type that sends it.

use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use twelve_core::{Error, Failure, Needs, ProcessKind, ProcessType};

use super::{
    PROCESS_TYPE, QUEUE,
    letter::Letter,
    mailbox::Mailbox,
    relay::{Relay, SendError},
    settings::MailerSettings,
};
use crate::{
    engine::{Engine, settings::Settings},
    enqueue::jobs::Jobs,
    handler::{outcome::Outcome, registry::Registry},
    job::{Job, policy::Policy, queues::Queues, retention::Keep},
};

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

/// Sends one copy. The job is done only after this has returned, and that is after the server's 250.
async fn deliver(delivery: Delivery, relay: Arc<Relay>) -> Result<Outcome, Failure> {
    let (mail, message_id) = (&delivery.letter.mail, &delivery.letter.message_id);
    match relay.send(&delivery).await {
        Ok(answer) => {
            tracing::info!(mail, %message_id, answer, "sent");
            Ok(Outcome::done())
        }
        Err(SendError::Refused(answer)) => Ok(Outcome::fail(answer)),
        Err(SendError::Misconfigured(problem)) => {
            tracing::error!(
                problem,
                "the SMTP server and SMTP_URL do not fit each other: no mail is sent until that is mended"
            );
            Err(Failure::new(problem))
        }
        Err(SendError::Later(answer)) => Err(Failure::new(answer)),
        Err(error @ SendError::Unreachable(_)) => Err(Error::from(error).into()),
    }
}

/// The process type that sends mails: a worker whose only job is their delivery.
#[must_use]
pub fn mailer() -> ProcessType {
    let mut needs = Needs::default();
    needs.add::<Relay>();
    needs.add::<Jobs>();
    ProcessType::new(
        PROCESS_TYPE,
        ProcessKind::Mailer,
        needs,
        |context| async move {
            let relay = Relay::of(&context)?;
            let settings = MailerSettings::read(context.environment())?;
            let mut registry = Registry::default();
            let of_this_process = Arc::clone(&relay);
            registry.job(move |delivery| deliver(delivery, Arc::clone(&of_this_process)));
            let worker = Settings::read(context.environment())?;
            let worker = worker.with_concurrency(settings.concurrency);
            let queues = Queues::only([QUEUE]);
            let engine = Engine::new(context, Arc::new(registry), queues, worker)?;
            let end = tokio::select! {
                end = engine.run() => end,
                never = relay.tidy() => never,
            };
            relay.close().await;
            Ok(end?)
        },
    )
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
