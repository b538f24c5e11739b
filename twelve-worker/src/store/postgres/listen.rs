//! Wake-ups: NOTIFY outside the enqueue's transaction, LISTEN outside the pool.

use sqlx::postgres::{PgListener, PgPoolOptions};
use std::time::Duration;
use twelve_core::{Db, Error};

use super::failed;
use crate::store::model::Wake;

/// The channel; its payload is a queue's name.
const CHANNEL: &str = "twelve_jobs";

/// The payload that stands for control: something was paused, resumed or cancelled. No queue has this name.
const CONTROL: &str = "!";

/// The longest pause between two tries to connect. The poll finds jobs meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// It is a transaction of its own. NOTIFY locks the whole database until the commit, so inside the producers' transactions it would make all enqueues wait for each other.
///
/// `synchronous_commit=off`: a crash may lose a wake-up, and then polling finds the job.
const WAKE: &str = "
SELECT pg_notify($2, queue), set_config('synchronous_commit', 'off', true) FROM unnest($1::text[]) AS line (queue)";

pub(super) async fn wake(db: &Db, queues: &[String]) -> Result<(), Error> {
    sqlx::query(WAKE)
        .bind(queues)
        .bind(CHANNEL)
        .execute(db)
        .await
        .map_err(failed)?;
    Ok(())
}

/// Announces to all workers that something was paused, resumed or cancelled. If the announcement is lost, they see pauses within a second and cancellations at the rescuer's next look.
pub(super) async fn announce_control(db: &Db) {
    if let Err(error) = wake(db, &[CONTROL.to_owned()]).await {
        tracing::debug!(%error, "workers were not told: they see it by themselves");
    }
}

pub(super) async fn listen(db: Db, woken: Box<dyn Fn(Wake<'_>) + Send + Sync>) {
    let mut pause = Duration::from_millis(100);
    loop {
        if let Err(error) = listen_once(&db, &woken, &mut pause).await {
            tracing::debug!(%error, "no wake-ups from Postgres for the moment; jobs are found by the poll");
        }
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Listens until the connection is lost.
async fn listen_once(
    db: &Db,
    woken: &(dyn Fn(Wake<'_>) + Send + Sync),
    pause: &mut Duration,
) -> Result<(), Error> {
    // Which of several hosts answers is found out anew each time.
    let (_, options) = db.connect().await?;
    // A pool of one that is never recycled: sqlx's listener wants a pool.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(LONGEST_PAUSE)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    *pause = Duration::from_millis(100);
    // Wake-ups from before this moment were lost.
    woken(Wake::Any);
    while let Some(notification) = listener.try_recv().await? {
        woken(match notification.payload() {
            CONTROL => Wake::Control,
            queue => Wake::Queue(queue),
        });
    }
    Ok(())
}
