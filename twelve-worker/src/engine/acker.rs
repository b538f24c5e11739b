//! Records how an attempt ended: in the handler's own transaction when it has one, else in a statement.
//!
//! ```text
//! Ok, Tx used      ─► ack in Tx ─► commit          refused ─► rollback, warn
//! Ok, no Tx        ─► ack                          refused ─► warn
//! anything else    ─► rollback ─► ack              refused ─► warn
//! commit failed    ─► as a failed attempt: its ack is refused if the commit took effect after all
//! ```

use std::{error::Error as _, time::Duration};
use tokio::time::timeout;
use twelve_core::{Error, Failure, Slot, Tx, chain};

use super::{
    Engine,
    executor::{End, Settled, ack_for, failed},
    setback::{PATIENCE, Setback, within},
};
use crate::{
    Outcome, Policy,
    outcome::Wish,
    store::{Ack, Acked, Claimed},
};

/// How long a rollback may take: a statement that was cut off may still run on the server.
const ROLLBACK: Duration = Duration::from_secs(1);

/// How long a commit may take: constraints and triggers may wait for it.
const COMMIT: Duration = Duration::from_secs(30);

/// How often an ack is tried while the store calls it wrong; while the store is unavailable, there is no limit.
const MAX_TRIES: u32 = 10;

/// Records the end of an attempt. Whatever happens, exactly one end is recorded, or the job is somebody else's.
pub(super) async fn settle(
    engine: &Engine,
    job: &Claimed,
    slot: Option<&Slot>,
    end: End,
    policy: &Policy,
) -> Settled {
    engine.held.has_ended(job.lease);
    log(job, &end);
    let is_ok = matches!(end, End::Ok(_));
    let ack = ack_for(end, job, policy);
    let Some(slot) = slot else {
        return report(engine, job, &ack, Doubt::None).await;
    };
    if !is_ok {
        rollback(slot).await;
        return report(engine, job, &ack, Doubt::None).await;
    }
    if !slot.is_open() {
        // Nothing to commit; but a `Tx` that has outlived its handler is found out here.
        return match slot.commit().await {
            Ok(()) => report(engine, job, &ack, Doubt::None).await,
            Err(error) => give_up(engine, job, slot, &error, policy).await,
        };
    }
    match within(COMMIT, commit(engine, job, slot, &ack)).await {
        Ok(Acked::Accepted) => Settled::of(&ack),
        Ok(Acked::Refused) => {
            warn_refused(job);
            Settled::Refused
        }
        Err(error) => give_up(engine, job, slot, &error, policy).await,
    }
}

/// Puts the ack into the handler's transaction, as its last statement, and commits both.
async fn commit(engine: &Engine, job: &Claimed, slot: &Slot, ack: &Ack) -> Result<Acked, Error> {
    let mut tx = Tx::of(slot, engine.context.db()?)?;
    let connection = tx.connection().await?;
    let acked = engine.store.ack_in(connection, job.lease, ack).await?;
    drop(tx);
    match acked {
        Acked::Accepted => slot.commit().await?,
        Acked::Refused => rollback(slot).await,
    }
    Ok(acked)
}

/// The transaction could not be committed: the attempt has not succeeded after all.
async fn give_up(
    engine: &Engine,
    job: &Claimed,
    slot: &Slot,
    error: &Error,
    policy: &Policy,
) -> Settled {
    rollback(slot).await;
    let end = end_of_commit(error);
    log(job, &end);
    let ack = ack_for(end, job, policy);
    report(engine, job, &ack, Doubt::Commit).await
}

/// Core calls every failed commit unavailable; its cause tells an outage from a constraint that is checked at the commit.
fn end_of_commit(error: &Error) -> End {
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<Error>());
    if cause.is_some_and(|cause| !cause.is_unavailable()) {
        return End::Failed(chain(error));
    }
    failed(&Failure::from(error.clone()))
}

async fn rollback(slot: &Slot) {
    // If it takes longer, the connection does it before it is used again.
    let _ = timeout(ROLLBACK, slot.rollback()).await;
}

/// Why a refusal may not mean that the job was taken back.
#[derive(Clone, Copy)]
enum Doubt {
    None,
    /// A commit whose answer was lost may have taken effect.
    Commit,
    /// An ack whose answer was lost may have taken effect.
    Ack,
}

/// Acks in a statement of its own, and goes on trying: an attempt's end is not forgotten because the store is down.
async fn report(engine: &Engine, job: &Claimed, ack: &Ack, mut doubt: Doubt) -> Settled {
    let mut setback = Setback::default();
    let mut wrong = 0;
    loop {
        match within(PATIENCE, engine.store.ack(job.lease, ack)).await {
            Ok(Acked::Accepted) => return Settled::of(ack),
            Ok(Acked::Refused) => {
                refused(job, doubt);
                return Settled::Refused;
            }
            Err(error) => {
                doubt = Doubt::Ack;
                wrong += u32::from(!error.is_unavailable());
                if wrong >= MAX_TRIES {
                    // Its lease is not held any more, so the rescuer hands the job back.
                    tracing::error!(
                        error = chain(&error),
                        "the end of the attempt could not be recorded: the job will run again"
                    );
                    return Settled::PutBack;
                }
                setback
                    .pause("recording the end of an attempt", &error)
                    .await;
            }
        }
    }
}

fn refused(job: &Claimed, doubt: Doubt) {
    match doubt {
        Doubt::None => warn_refused(job),
        Doubt::Commit => {
            tracing::warn!("the attempt had been committed after all, or the job was taken back");
        }
        Doubt::Ack => {
            tracing::warn!(
                "the end of the attempt had been recorded after all, or the job was taken back"
            );
        }
    }
}

fn warn_refused(job: &Claimed) {
    tracing::warn!(
        job = %job.lease.job,
        kind = job.kind,
        epoch = job.lease.epoch,
        "ack refused: the job was taken back in the meantime, and what this attempt did in its `Tx` was rolled back"
    );
}

fn log(job: &Claimed, end: &End) {
    let (attempt, of) = (job.attempt(), job.max_attempts);
    let is_last = attempt >= of;
    match end {
        End::Ok(Outcome(Wish::Fail(reason))) => tracing::error!(reason, "the job has failed"),
        End::Ok(outcome) => tracing::debug!(?outcome, "the attempt has ended"),
        End::Failed(error) if is_last => {
            tracing::error!(
                error,
                "attempt {attempt} of {of} failed: the job has failed"
            );
        }
        End::Failed(error) => tracing::warn!(error, "attempt {attempt} of {of} failed"),
        // The process's panic hook has logged the message, with its place.
        End::Panicked(_) if is_last => {
            tracing::error!("attempt {attempt} of {of} panicked: the job has failed");
        }
        End::Panicked(_) => tracing::warn!("attempt {attempt} of {of} panicked"),
        End::Unavailable(error) => tracing::warn!(error, "attempt {attempt} of {of} is put off"),
        End::Undecodable(error) => tracing::error!(error, "the job has failed"),
        End::UnknownKind(error) => tracing::warn!(error, "the job is put back"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_failed_for_its_contents_is_a_failed_attempt() {
        let commit =
            |cause| Error::unavailable("the transaction could not be committed").because(cause);
        let constraint = commit(Error::internal("a statement failed on Postgres"));
        assert!(matches!(end_of_commit(&constraint), End::Failed(_)));
        let outage = commit(Error::unavailable("Postgres is unavailable"));
        assert!(matches!(end_of_commit(&outage), End::Unavailable(_)));
        let escaped = Error::internal("a `Tx` has outlived its handler");
        assert!(matches!(end_of_commit(&escaped), End::Failed(_)));
    }
}
