//! Producers that share their commits.

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::Connection;
use twelve_core::{Error, chain};
use twelve_worker::{Enqueued, Job, Jobs, Unique, store::conformance::until};

use crate::app::{App, Work};

/// How many tasks enqueue at once.
const TASKS: u32 = 100;

async fn app() -> App {
    App::new(async |_: Work| {}).await
}

/// Each from a task of its own.
async fn enqueue_all(jobs: &Jobs) -> Vec<Result<Enqueued, Error>> {
    let jobs = jobs.coalesced();
    join_all((0..TASKS).map(|n| jobs.enqueue(Work(n)))).await
}

/// Is this the answer to `Work(n)`?
async fn assert_is(app: &App, enqueued: Enqueued, n: u32) {
    assert!(enqueued.is_new());
    let payload = app.show(enqueued.id()).await.payload;
    assert_eq!(payload, Some(n.into()));
}

#[tokio::test]
async fn each_of_many_is_answered_with_its_own_job_and_few_commits_hold_them_all() {
    let app = app().await;
    for (n, enqueued) in (0..).zip(enqueue_all(&app.jobs).await) {
        assert_is(&app, enqueued.unwrap(), n).await;
    }
    let commits = "SELECT count(DISTINCT xmin::text) FROM twelve.jobs";
    let commits = app.count(commits).await;
    assert!(commits < i64::from(TASKS) / 2, "{commits} commits");
}

#[tokio::test]
async fn unique_jobs_among_them_have_their_own_answers() {
    let app = app().await;
    let unique = || Work(TASKS).unique(Unique::key("a"));
    let first = app.jobs.enqueue(unique()).await.unwrap().id();
    let jobs = app.jobs.coalesced();
    let enqueuing = (0..TASKS).map(async |n| {
        let enqueued = match n % 4 {
            0 => jobs.enqueue(Work(n)).await,
            1 => jobs.enqueue(unique()).await,
            2 => {
                jobs.enqueue(Work(n).unique(Unique::key("a").replace()))
                    .await
            }
            _ => {
                jobs.enqueue(Work(n).unique(Unique::key("a").reject()))
                    .await
            }
        };
        (n, enqueued)
    });
    for (n, enqueued) in join_all(enqueuing).await {
        match n % 4 {
            0 => assert_is(&app, enqueued.unwrap(), n).await,
            1 => assert!(enqueued.is_ok_and(|it| it.was_kept() && it.id() == first)),
            2 => assert!(enqueued.is_ok_and(|it| it.was_replaced() && it.id() == first)),
            _ => assert!(enqueued.unwrap_err().is_duplicate()),
        }
    }
    let stored = app.count("SELECT count(*) FROM twelve.jobs").await;
    assert_eq!(stored, i64::from(TASKS / 4 + 1));
}

/// JSON as somebody else wrote it.
#[derive(Serialize, Deserialize)]
struct Forward(Box<RawValue>);

impl Job for Forward {
    const KIND: &'static str = "forward";
}

impl Forward {
    /// Far deeper than Postgres reads.
    fn too_deep() -> Self {
        let depth = 100_000;
        let json = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        Self(RawValue::from_string(json).unwrap())
    }
}

#[tokio::test]
async fn one_that_cannot_be_stored_takes_no_other_with_it() {
    let app = app().await;
    let jobs = app.jobs.coalesced();
    let (refused, answers) = tokio::join!(
        join_all((0..3).map(|_| jobs.enqueue(Forward::too_deep()))),
        enqueue_all(&app.jobs),
    );
    for refused in refused {
        let error = refused.unwrap_err();
        assert!(chain(&error).contains("stack depth"), "{}", chain(&error));
    }
    for (n, enqueued) in (0..).zip(answers) {
        assert_is(&app, enqueued.unwrap(), n).await;
    }
}

#[tokio::test]
async fn when_postgres_goes_away_all_of_a_commit_hear_of_it_and_none_is_stored() {
    let app = app().await;
    let mut connection = app.connect().await;
    let mut gate = connection.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(7)")
        .execute(&mut *gate)
        .await
        .unwrap();
    // Half of them are written when the other half has to wait.
    app.execute("CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NEW; END $$")
        .await;
    app.execute("CREATE TRIGGER wait BEFORE INSERT ON twelve.jobs FOR EACH ROW WHEN (NEW.payload::text = '50') EXECUTE FUNCTION wait()")
        .await;
    let cutting = until("the commit to wait", async || {
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";
        (app.count(cut).await > 0).then_some(())
    });
    let (answers, ()) = tokio::join!(enqueue_all(&app.jobs), cutting);
    for answer in answers {
        assert!(answer.unwrap_err().is_unavailable());
    }
    assert_eq!(app.count("SELECT count(*) FROM twelve.all_jobs").await, 0);
    gate.rollback().await.unwrap();
    for (n, enqueued) in (0..).zip(enqueue_all(&app.jobs).await) {
        assert_is(&app, enqueued.unwrap(), n).await;
    }
}
