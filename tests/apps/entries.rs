//! An app that writes in every way there is, for the tests that give its Postgres another role, or refuse it connections.

use twelve::{Missed, prelude::*};

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// In the transaction of its key, together with a job.
async fn enter(mut tx: Tx, jobs: Jobs, Json(Named { name }): Json<Named>) -> Result<StatusCode> {
    sqlx::query("INSERT INTO entries (name) VALUES ($1)")
        .bind(&name)
        .execute(&mut tx)
        .await?;
    jobs.enqueue_in(&mut tx, Finish { name }).await?;
    Ok(StatusCode::CREATED)
}

/// Outside of any transaction.
async fn note(db: Db, Json(Named { name }): Json<Named>) -> Result<StatusCode> {
    sqlx::query("INSERT INTO notes (name) VALUES ($1)")
        .bind(name)
        .execute(&db)
        .await?;
    Ok(StatusCode::CREATED)
}

async fn read(db: Db) -> Result<String> {
    let notes: i64 = sqlx::query_scalar("SELECT count(*) FROM notes")
        .fetch_one(&db)
        .await?;
    Ok(notes.to_string())
}

/// How many jobs are done, as an answer for those who cannot ask Postgres themselves.
async fn completed(db: Db) -> Result<String> {
    let completed: i64 = sqlx::query_scalar("SELECT count(*) FROM completed")
        .fetch_one(&db)
        .await?;
    Ok(completed.to_string())
}

/// Keeps its connection for a moment, so that those who want one at the same time need another.
async fn dwell(db: Db) -> Result<()> {
    sqlx::query("SELECT pg_sleep(0.02)").execute(&db).await?;
    Ok(())
}

/// The same in a transaction.
async fn dwell_in(mut tx: Tx) -> Result<()> {
    sqlx::query("SELECT pg_sleep(0.02)")
        .execute(&mut tx)
        .await?;
    Ok(())
}

/// An author's mistake: a transaction that is read-only by its own words writes.
async fn contradict(mut tx: Tx) -> Result<StatusCode> {
    sqlx::query("SET TRANSACTION READ ONLY")
        .execute(&mut tx)
        .await?;
    sqlx::query("INSERT INTO notes (name) VALUES ('contradiction')")
        .execute(&mut tx)
        .await?;
    Ok(StatusCode::CREATED)
}

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "finish", attempts = 5, backoff = "100ms")]
struct Finish {
    name: String,
}

async fn finish(Finish { name }: Finish, attempt: Attempt, mut tx: Tx) -> Result<()> {
    sqlx::query("INSERT INTO completed (name, attempt) VALUES ($1, $2)")
        .bind(name)
        .bind(i64::from(attempt.number()))
        .execute(&mut tx)
        .await?;
    Ok(())
}

async fn record(tick: Tick, mut tx: Tx) -> Result<()> {
    sqlx::query("INSERT INTO runs (tick) VALUES ($1::text::timestamptz)")
        .bind(tick.to_string())
        .execute(&mut tx)
        .await?;
    Ok(())
}

async fn everyone() -> &'static str {
    "everyone"
}

fn main() -> ExitCode {
    let enter = enter.idempotent(Idempotency::required(everyone));
    let routes = Router::new()
        .route("/entries", post(enter))
        .route("/notes", post(note).get(read))
        .route("/completed", get(completed))
        .route("/dwell", get(dwell).post(dwell_in))
        .route("/contradiction", post(contradict));
    let every_second = Schedule::cron("every-second", "* * * * * *");
    App::new("entries")
        .migrations(sqlx::migrate!("tests/apps/entries"))
        .web(routes)
        .job(finish)
        .schedule(every_second.missed(Missed::CatchUp(1000)), record)
        .main()
}
