//! The worker's side, without the worker: the two statements that every job passes.

use criterion::{Criterion, Throughput};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use twelve::Jobs;
use twelve_worker::{
    ClaimId, Keep, Queues,
    store::{Claim, Done, Retention, conformance::Fixture},
};

use crate::{database, group, noops};

/// As many as a worker claims at once, which is also what a busy one acks in a group.
const BATCH: usize = 500;

/// Nothing is kept, as of [`Noop`](crate::Noop).
const RETENTION: Retention = Retention {
    keep: Keep::Nothing,
    span: Duration::ZERO,
    is_bare: true,
};

/// What one batch took.
struct Round {
    claim: Duration,
    ack: Duration,
}

type Part = fn(&Round) -> Duration;

/// Batches of jobs that wait are claimed and acked; each case looks at its part of that.
pub(crate) fn claim_and_ack(criterion: &mut Criterion, runtime: &Runtime) {
    let (jobs, fixture) = runtime.block_on(async {
        let database = database::fresh().await;
        let producer = database::context(&database, "web");
        (
            Jobs::of(&producer).unwrap(),
            Fixture::postgres(database).await,
        )
    });
    let cases: [(&str, Part); 3] = [
        ("claim", |round| round.claim),
        ("ack", |round| round.ack),
        ("claim_and_ack", |round| round.claim + round.ack),
    ];
    let mut group = group(criterion, "store");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, part) in cases {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let took = async { sample(&jobs, &fixture, rounds).await.iter().map(part).sum() };
                runtime.block_on(took)
            });
        });
    }
}

/// So many rounds; the jobs of all wait before the first begins, so that no claim finds an empty table.
async fn sample(jobs: &Jobs, fixture: &Fixture, rounds: u64) -> Vec<Round> {
    database::clear(&fixture.db).await;
    let mut connection = fixture.db.acquire().await.unwrap();
    let waiting = noops(rounds * BATCH as u64);
    let enqueued = jobs.enqueue_many_in(&mut *connection, waiting).await;
    enqueued.unwrap();
    let plan = fixture.plan(fixture.worker, &Queues::all(), BATCH).await;
    let mut took = Vec::new();
    for _ in 0..rounds {
        took.push(round(fixture, &plan).await);
    }
    took
}

async fn round(fixture: &Fixture, plan: &Claim) -> Round {
    let id = ClaimId::new();
    let plan = Claim { id, ..plan.clone() };
    let began = Instant::now();
    let batch = fixture.store.claim(&plan).await.unwrap();
    let claim = began.elapsed();
    assert_eq!(batch.jobs.len(), BATCH);
    let done = batch.jobs.iter().map(|job| Done {
        lease: job.lease,
        retention: RETENTION,
    });
    let done: Vec<_> = done.collect();
    let began = Instant::now();
    let refused = fixture.store.done(fixture.worker, &done, &[id]).await;
    let ack = began.elapsed();
    assert_eq!(refused.unwrap(), []);
    Round { claim, ack }
}
