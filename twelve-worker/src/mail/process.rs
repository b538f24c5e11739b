//! The process type that sends mails.

use std::sync::Arc;
use twelve_core::{Error, Failure, Needs, ProcessKind, ProcessType};

use super::{
    PROCESS_TYPE, QUEUE, delivery::Delivery, relay::Relay, send_error::SendError,
    settings::MailerSettings,
};
use crate::{
    engine::{Engine, settings::Settings},
    enqueue::jobs::Jobs,
    handler::{outcome::Outcome, registry::Registry},
    job::queues::Queues,
};

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
    .reads::<MailerSettings>()
    .reads::<Settings>()
}
