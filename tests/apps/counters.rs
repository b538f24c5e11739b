//! An app that keeps its numbers in Redis and lets every error through with `?`, for the tests of a primary that changes.

use twelve::{prelude::*, redis::AsyncCommands};

/// Counts one up, and answers how many there are.
async fn count(Path(name): Path<String>, redis: Redis) -> Result<String> {
    let mut connection = redis.connection().await?;
    let count: u64 = connection.incr(name, 1).await?;
    Ok(count.to_string())
}

async fn read(Path(name): Path<String>, redis: Redis) -> Result<String> {
    let mut connection = redis.connection().await?;
    let count: Option<u64> = connection.get(name).await?;
    Ok(count.unwrap_or_default().to_string())
}

/// The same in a transaction of Redis, which fails in another way.
async fn count_twice(Path(name): Path<String>, redis: Redis) -> Result<String> {
    let mut connection = redis.connection().await?;
    let mut both = twelve::redis::pipe();
    both.atomic().incr(&name, 1).ignore().incr(&name, 1);
    let (count,): (u64,) = both.query_async(&mut connection).await?;
    Ok(count.to_string())
}

/// A mistake of the author's: a number is no list.
async fn mistake(Path(name): Path<String>, redis: Redis) -> Result<StatusCode> {
    let mut connection = redis.connection().await?;
    let () = connection.lpush(name, 1).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Has one attempt: whatever spends it ends the job.
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "count", attempts = 1)]
struct Count {
    name: String,
}

async fn count_later(Path(name): Path<String>, jobs: Jobs) -> Result<StatusCode> {
    jobs.enqueue(Count { name }).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn counted(Count { name }: Count, redis: Redis) -> Result<()> {
    let mut connection = redis.connection().await?;
    let () = connection.incr(name, 1).await?;
    Ok(())
}

fn main() -> ExitCode {
    let routes = Router::new()
        .route("/counters/{name}", get(read).post(count))
        .route("/twice/{name}", post(count_twice))
        .route("/later/{name}", post(count_later))
        .route("/mistake/{name}", post(mistake));
    App::new("counters").http("web", routes).job(counted).main()
}
