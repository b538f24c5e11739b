//! Records how an attempt ended: in the handler's own transaction when it has one, else with others that end at the same time.
//!
//! ```text
//! Ok, Tx used      ─► ack in Tx ─► commit            refused ─► rollback, warn
//! Ok, no Tx        ─► group commit                   refused ─► warn
//! anything else    ─► rollback ─► ack                refused ─► warn
//! commit failed    ─► as a failed attempt: its ack is refused if the commit took effect after all
//! ```

use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};
use twelve_core::{Error, Tracked, Tx, TxCell, chain};

use super::{
    Engine,
    buffer::Job,
    end::{Attempted, End, Settled},
    in_flight::LeaseGuard,
    statistics,
};
use crate::{
    group_commit::Groups,
    job::id::ClaimId,
    store::{
        Answer,
        model::{Ack, Acked, Claimed, Done, Lease},
        retry::{RetryBackoff, STORE_TIMEOUT, with_timeout},
    },
};

/// How long a rollback may take: a statement that was cut off may still run on the server.
const ROLLBACK: Duration = Duration::from_secs(1);

/// How long a commit may take: constraints and triggers may wait for it.
const COMMIT: Duration = Duration::from_secs(30);

/// How often an ack is tried while the store calls it wrong; while the store is unavailable, there is no limit.
const MAX_TRIES: u32 = 10;

/// What goes into a group: a job that is done, or one whose end is recorded already, so that its claim may have ended too.
#[derive(Debug)]
pub(crate) struct Ended {
    done: Option<(Done, String)>,
    lease_guard: LeaseGuard,
    /// The process has not drained before it is recorded.
    _tracked: Option<Tracked>,
}

/// Records the end of an attempt. Whatever happens, exactly one end is recorded, or the job is somebody else's.
pub(super) async fn settle(
    engine: &Engine,
    attempted: &Attempted<'_>,
    end: End,
    (lease_guard, tracked): (LeaseGuard, Tracked),
) -> Settled {
    let job = &attempted.job;
    if !engine.in_flight.has_ended(job.lease) {
        return Settled::Refused;
    }
    attempted.log(&end);
    let is_ok = matches!(end, End::Ok(_));
    let ack = attempted.ack(end);
    let settled = match &attempted.cell {
        Some(cell) if is_ok && cell.is_open() => {
            commit_or_fail(engine, attempted, &lease_guard, cell, &ack).await
        }
        Some(cell) => {
            // When nothing was written there is nothing to commit; but a `Tx` that has outlived its handler is found out here.
            let closed = if is_ok { cell.commit().await } else { Ok(()) };
            match (closed, ack) {
                (Err(error), _) => {
                    on_commit_failed(engine, attempted, &lease_guard, cell, &error).await
                }
                (Ok(()), Ack::Done(retention)) => {
                    let done = Done {
                        lease: job.lease,
                        retention,
                    };
                    let ended = Ended {
                        done: Some((done, job.kind.clone())),
                        lease_guard,
                        _tracked: Some(tracked),
                    };
                    return add(engine, ended).await;
                }
                (Ok(()), ack) => {
                    rollback(cell).await;
                    report(engine, attempted, &lease_guard, &ack, Doubt::None).await
                }
            }
        }
        None => report(engine, attempted, &lease_guard, &ack, Doubt::None).await,
    };
    let ended = Ended {
        done: None,
        lease_guard,
        _tracked: Some(tracked),
    };
    add(engine, ended).await;
    settled
}

async fn add(engine: &Engine, ended: Ended) -> Settled {
    match engine.ended.add(ended).await {
        Ok(()) => Settled::Done,
        // The acker is gone with the engine: the job runs again elsewhere.
        Err(_) => Settled::Refused,
    }
}

/// Records groups of ends, for ever.
pub(super) async fn run(engine: Arc<Engine>, mut groups: Groups<Ended>) {
    while let Some(group) = groups.next().await {
        record(&engine, group).await;
    }
}

/// Goes on trying: an attempt's end is not forgotten because the store is down.
async fn record(engine: &Engine, group: Vec<Ended>) {
    let done: Vec<Done> = group
        .iter()
        .filter_map(|ended| Some(ended.done.as_ref()?.0))
        .collect();
    // Here, where only one task ends claims: none is forgotten before all its jobs are recorded.
    let claims: Vec<ClaimId> = group
        .iter()
        .filter_map(|ended| ended.lease_guard.end())
        .collect();
    if done.is_empty() && claims.is_empty() {
        return;
    }
    let mut doubt = Doubt::None;
    let recorded = insist(engine, "recording the ends of attempts", &mut doubt, || {
        engine.store.done(engine.worker, &done, &claims)
    });
    match recorded.await {
        Ok(lost) => {
            let ends = group.iter().filter_map(|ended| ended.done.as_ref());
            let lost = ends.filter(|(done, _)| lost.contains(&done.lease));
            lost.for_each(|(done, kind)| refused(done.lease, kind, doubt));
        }
        Err(error) => {
            tracing::error!(
                error = chain(&error),
                jobs = done.len(),
                "the ends of attempts could not be recorded: the jobs will run again"
            );
            for ended in &group {
                ended.lease_guard.mark_unrecorded();
            }
        }
    }
    // If they could not be forgotten, they are found as claims that nobody knows.
    engine.in_flight.forget(&claims);
}

/// Releases jobs that have not started.
pub(super) async fn release(engine: &Engine, jobs: Vec<Job>) {
    if jobs.is_empty() {
        return;
    }
    let leases: Vec<Lease> = jobs.iter().map(|job| job.claimed.lease).collect();
    let released = with_timeout(STORE_TIMEOUT, engine.store.release(&leases)).await;
    if let Err(error) = &released {
        tracing::debug!(%error, "claimed jobs could not be released; the rescuer does it");
    }
    for job in jobs {
        if released.is_err() {
            job.lease_guard.mark_unrecorded();
        }
        let ended = Ended {
            done: None,
            lease_guard: job.lease_guard,
            _tracked: None,
        };
        add(engine, ended).await;
    }
}

/// Commits the handler's transaction with the ack in it.
async fn commit_or_fail(
    engine: &Engine,
    attempted: &Attempted<'_>,
    lease_guard: &LeaseGuard,
    cell: &TxCell,
    ack: &Ack,
) -> Settled {
    let job = &attempted.job;
    match with_timeout(COMMIT, commit(engine, job, cell, ack)).await {
        Ok(Acked::Accepted) => Settled::of(ack),
        Ok(Acked::Refused) => {
            warn_refused(job.lease, &job.kind);
            Settled::Refused
        }
        Err(error) => on_commit_failed(engine, attempted, lease_guard, cell, &error).await,
    }
}

/// Puts the ack into the handler's transaction, as its last statement, and commits both.
async fn commit(engine: &Engine, job: &Claimed, cell: &TxCell, ack: &Ack) -> Result<Acked, Error> {
    let mut tx = Tx::of(cell, engine.context.db()?)?;
    let connection = tx.limited_connection().await?;
    let acked = engine
        .store
        .ack_in(connection, engine.worker, job.lease, ack)
        .await?;
    drop(tx);
    match acked {
        // The ack was the last statement, and succeeded.
        Acked::Accepted => cell.commit_after_success().await?,
        Acked::Refused => rollback(cell).await,
    }
    Ok(acked)
}

/// The transaction could not be committed: the attempt has not succeeded after all.
async fn on_commit_failed(
    engine: &Engine,
    attempted: &Attempted<'_>,
    lease_guard: &LeaseGuard,
    cell: &TxCell,
    error: &Error,
) -> Settled {
    rollback(cell).await;
    let end = End::of_commit(error);
    attempted.log(&end);
    let ack = attempted.ack(end);
    report(engine, attempted, lease_guard, &ack, Doubt::Commit).await
}

async fn rollback(cell: &TxCell) {
    // If it takes longer, the connection does it before it is used again.
    let _ = timeout(ROLLBACK, cell.rollback()).await;
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
async fn report(
    engine: &Engine,
    attempted: &Attempted<'_>,
    lease_guard: &LeaseGuard,
    ack: &Ack,
    mut doubt: Doubt,
) -> Settled {
    let job = &attempted.job;
    let acked = insist(
        engine,
        "recording the end of an attempt",
        &mut doubt,
        || engine.store.ack(engine.worker, job.lease, ack),
    );
    match acked.await {
        Ok(Acked::Accepted) => Settled::of(ack),
        Ok(Acked::Refused) => {
            refused(job.lease, &job.kind, doubt);
            Settled::Refused
        }
        Err(error) => {
            tracing::error!(
                error = chain(&error),
                "the end of the attempt could not be recorded: the job will run again"
            );
            if let Err(error) =
                with_timeout(STORE_TIMEOUT, engine.store.release(&[job.lease])).await
            {
                tracing::debug!(%error, "the job could not be released; the rescuer does it");
                lease_guard.mark_unrecorded();
            }
            Settled::Deferred
        }
    }
}

/// Goes on trying while the store is unavailable; the error is one that it calls wrong, again and again.
///
/// After the first try that failed, a refusal may mean that it had succeeded: that is the doubt.
async fn insist<'a, T>(
    engine: &Engine,
    doing: &str,
    doubt: &mut Doubt,
    record: impl Fn() -> Answer<'a, T>,
) -> Result<T, Error> {
    let mut backoff = RetryBackoff::default();
    let mut wrong = 0;
    loop {
        let began = Instant::now();
        let recorded = with_timeout(STORE_TIMEOUT, record()).await;
        statistics::note(engine, began);
        match recorded {
            Ok(recorded) => return Ok(recorded),
            Err(error) => {
                *doubt = Doubt::Ack;
                wrong += u32::from(!error.is_unavailable());
                if wrong >= MAX_TRIES {
                    return Err(error);
                }
                backoff.pause(doing, &error).await;
            }
        }
    }
}

fn refused(lease: Lease, kind: &str, doubt: Doubt) {
    match doubt {
        Doubt::None => warn_refused(lease, kind),
        Doubt::Commit => {
            tracing::warn!("the attempt had been committed after all, or the job was taken back");
        }
        Doubt::Ack => {
            tracing::warn!(
                job = %lease.job,
                "the end of the attempt had been recorded after all, or the job was taken back"
            );
        }
    }
}

fn warn_refused(lease: Lease, kind: &str) {
    tracing::warn!(
        job = %lease.job,
        kind,
        epoch = lease.epoch,
        "ack refused: the job was taken back in the meantime, and what this attempt did in its `Tx` was rolled back"
    );
}
