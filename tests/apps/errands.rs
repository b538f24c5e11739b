//! An app whose jobs leave marks, for the tests that hurt workers: which errand was started where, and which was done.

use std::time::Duration;

use twelve::{clap, prelude::*};

#[derive(Config)]
struct Settings {
    /// How long an errand takes on average, in milliseconds.
    #[config(env = "ERRAND_MS", default = "5")]
    errand_ms: u64,
    /// Whether marks are written beside the transaction: the control.
    #[config(env = "ERRAND_CARELESS", default = "false")]
    is_careless: bool,
}

/// It is never out of patience: a test that cuts connections all the time is no reason to fail.
#[derive(Serialize, Deserialize, Job)]
#[job(
    kind = "errand",
    attempts = 100,
    backoff = "200ms",
    max_backoff = "1s",
    timeout = "10m"
)]
struct Errand {
    number: i32,
}

/// What is written through `db` stays whatever becomes of the attempt; what is written through `tx` stays once, with the ack.
async fn run_errand(
    errand: Errand,
    attempt: Attempt,
    settings: Conf<Settings>,
    db: Db,
    mut tx: Tx,
) -> Result<()> {
    let Errand { number } = errand;
    let attempt = i64::from(attempt.number());
    let pid = i64::from(std::process::id());
    sqlx::query("INSERT INTO starts (number, attempt, pid) VALUES ($1, $2, $3)")
        .bind(number)
        .bind(attempt)
        .bind(pid)
        .execute(&db)
        .await?;
    let mark = sqlx::query("INSERT INTO marks (number, attempt, pid) VALUES ($1, $2, $3)")
        .bind(number)
        .bind(attempt)
        .bind(pid);
    if settings.is_careless {
        mark.execute(&db).await?;
    } else {
        mark.execute(&mut tx).await?;
    }
    tokio::time::sleep(how_long(number, settings.errand_ms)).await;
    Ok(())
}

/// From nothing to twice the average, the same at each attempt: errands that begin together do not end together.
fn how_long(number: i32, average_ms: u64) -> Duration {
    let spread = u64::from(number.unsigned_abs()).wrapping_mul(7_919) % (2 * average_ms + 1);
    Duration::from_millis(spread)
}

/// `errands run enqueue -- --count N`
#[derive(clap::Args)]
struct Enqueue {
    #[arg(long)]
    count: i32,
}

async fn enqueue(Args(what): Args<Enqueue>, jobs: Jobs) -> Result<()> {
    let errands = (1..=what.count).map(|number| Errand { number });
    jobs.enqueue_many(errands).await?;
    Ok(())
}

fn main() -> ExitCode {
    App::new("errands")
        .config::<Settings>()
        .migrations(sqlx::migrate!("tests/apps/errands"))
        .job(run_errand)
        .task("enqueue", enqueue)
        .main()
}
