//! Why a job does not run.

use jiff_sqlx::Timestamp;
use sqlx::Row;
use twelve_core::{Db, Error};

use super::{admin, failed, rows, workers};
use crate::{
    job::id::JobId,
    store::{
        listing::{JobSummary, WorkerSummary},
        state::State,
        why::{Reason, Why},
    },
};

/// How many tickets are counted at most.
const COUNTED: usize = 1000;

/// What is known of an unfinished job beside its listing. Plan: the primary keys.
const FACTS: &str = "
SELECT suspect,
    (SELECT at FROM twelve.pauses WHERE what = 'queue' AND name = queue) AS queue_paused,
    (SELECT at FROM twelve.pauses WHERE what = 'kind' AND name = kind) AS kind_paused,
    (SELECT reason FROM twelve.cancellations WHERE job = id) AS stopping
FROM twelve.jobs WHERE id = $1";

/// How many tickets of the queue come before the job's own, if that is among those that are looked at, and how many these are.
///
/// Plan: `ready`'s primary key from the queue's beginning, no further than the limit: tickets have no index by job, for enqueues would pay for it.
const AHEAD: &str = "
WITH line AS MATERIALIZED (
    SELECT job, row_number() OVER (ORDER BY lane, seq) - 1 AS ahead
    FROM (SELECT lane, seq, job FROM twelve.ready WHERE queue = $2 ORDER BY lane, seq LIMIT $3) AS oldest
)
SELECT (SELECT max(ahead) FROM line WHERE job = $1), (SELECT count(*) FROM line)";

pub(super) async fn why(db: &Db, job: JobId) -> Result<Why, Error> {
    let found = admin::show(db, job).await?;
    let Some(summary) = found.map(|details| details.summary) else {
        return Ok(Why {
            job,
            state: None,
            reasons: vec![Reason::Unknown],
        });
    };
    let reasons = match &summary.finished_at {
        Some(at) => vec![Reason::Ended {
            state: summary.state,
            at: *at,
            error: summary.last_error.clone(),
        }],
        None => unfinished(db, &summary).await?,
    };
    Ok(Why {
        job,
        state: Some(summary.state),
        reasons,
    })
}

async fn unfinished(db: &Db, job: &JobSummary) -> Result<Vec<Reason>, Error> {
    let facts = sqlx::query(FACTS)
        .bind(*job.id.as_uuid())
        .fetch_optional(db)
        .await
        .map_err(failed)?;
    let Some(facts) = facts else {
        // It ended between the two statements.
        return Ok(vec![Reason::Next]);
    };
    let workers = workers::workers(db).await?;
    if job.state == State::Running {
        let stopping: Option<String> = facts.try_get("stopping")?;
        let stopping = stopping.map(|because| Reason::Stopping { because });
        return Ok(running(job, &workers).into_iter().chain(stopping).collect());
    }
    let paused = |column| {
        let since = facts.try_get::<Option<Timestamp>, _>(column);
        since.map(|since| since.map(Into::into))
    };
    let mut reasons = Vec::new();
    if job.state == State::Scheduled {
        reasons.push(Reason::Scheduled {
            until: job.run_at,
            error: job.last_error.clone(),
        });
    }
    reasons.extend(paused("queue_paused")?.map(|since| Reason::QueuePaused {
        queue: job.queue.clone(),
        since,
    }));
    reasons.extend(paused("kind_paused")?.map(|since| Reason::KindPaused {
        kind: job.kind.clone(),
        since,
    }));
    let takers: Vec<_> = workers
        .iter()
        .filter(|worker| worker.queues.takes(&job.queue))
        .collect();
    reasons.extend(nobody(job, &takers));
    let is_waiting = reasons.is_empty();
    if facts.try_get("suspect")? {
        reasons.push(Reason::Suspect);
    }
    if is_waiting {
        reasons.extend(behind(db, job).await?);
        reasons.extend(busy(&takers));
    }
    if reasons.is_empty() {
        reasons.push(Reason::Next);
    }
    Ok(reasons)
}

fn running(job: &JobSummary, workers: &[WorkerSummary]) -> Option<Reason> {
    let id = job.worker?;
    let Some(worker) = workers.iter().find(|worker| worker.id == id) else {
        return Some(Reason::WorkerGone { worker: id });
    };
    Some(Reason::Running {
        worker: id,
        process_type: worker.process_type.clone(),
        host: worker.host.clone(),
        pid: worker.pid,
        since: job.claimed_at.unwrap_or(job.created_at),
    })
}

/// Why none of the workers that take the queue would take the job.
fn nobody(job: &JobSummary, takers: &[&WorkerSummary]) -> Option<Reason> {
    if takers.is_empty() {
        return Some(Reason::NoWorker {
            queue: job.queue.clone(),
        });
    }
    if takers
        .iter()
        .all(|worker| !worker.kinds.contains(&job.kind))
    {
        return Some(Reason::NoHandler {
            kind: job.kind.clone(),
        });
    }
    (takers.iter().all(|worker| worker.draining)).then_some(Reason::Draining)
}

async fn behind(db: &Db, job: &JobSummary) -> Result<Option<Reason>, Error> {
    let (ahead, counted): (Option<i64>, i64) = sqlx::query_as(AHEAD)
        .bind(*job.id.as_uuid())
        .bind(&job.queue)
        .bind(rows(COUNTED))
        .fetch_one(db)
        .await
        .map_err(failed)?;
    let jobs = usize::try_from(ahead.unwrap_or(counted)).unwrap_or_default();
    let is_behind = match ahead {
        Some(ahead) => ahead > 0,
        // Its ticket is moving between tables, or has more tickets before it than are counted.
        None => jobs >= COUNTED,
    };
    Ok(is_behind.then_some(Reason::Behind {
        jobs,
        at_least: ahead.is_none(),
    }))
}

fn busy(takers: &[&WorkerSummary]) -> Option<Reason> {
    let takers = takers.iter().filter(|worker| !worker.draining);
    let (held, concurrency) = takers.fold((0, 0), |(held, concurrency), worker| {
        (
            held + worker.held,
            concurrency + u64::from(worker.concurrency),
        )
    });
    (held >= concurrency).then_some(Reason::Busy { held, concurrency })
}
