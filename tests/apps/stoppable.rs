//! An app whose jobs run until they are stopped, for the tests of control: those of the shop are soon over.

use std::future::pending;
use twelve::{Cancel, prelude::*};

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "quick", keep = "summary")]
struct Quick;

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "deaf", timeout = "1h")]
struct Deaf;

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "heeding", timeout = "1h")]
struct Heeding;

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "compute", queue = "compute")]
struct Compute;

async fn quick(_: Quick) {}

async fn compute(_: Compute) {}

/// Knows nothing of being stopped.
async fn deaf(_: Deaf) {
    pending::<()>().await;
}

/// Comes to an end of its own.
async fn heeding(_: Heeding, cancel: Cancel) -> Result<()> {
    cancel.wanted().await;
    Err(Failure::new("stopped between two files"))
}

/// What to enqueue.
#[derive(clap::Args)]
struct Wanted {
    kind: String,
    #[arg(default_value_t = 1)]
    count: usize,
    #[arg(long)]
    queue: Option<String>,
    #[arg(long)]
    tag: Option<String>,
}

async fn enqueue(wanted: Args<Wanted>, jobs: Jobs) -> Result<()> {
    match &*wanted.kind {
        "quick" => add(&wanted, &jobs, || Quick).await,
        "deaf" => add(&wanted, &jobs, || Deaf).await,
        _ => add(&wanted, &jobs, || Heeding).await,
    }
}

async fn add<J: Job>(wanted: &Wanted, jobs: &Jobs, job: fn() -> J) -> Result<()> {
    for _ in 0..wanted.count {
        let mut new = job().on_queue(wanted.queue.as_deref().unwrap_or("default"));
        if let Some(tag) = &wanted.tag {
            new = new.tag(tag);
        }
        println!("{}", jobs.enqueue(new).await?.id());
    }
    Ok(())
}

fn main() -> ExitCode {
    App::new("stoppable")
        .job(quick)
        .job(deaf)
        .job(heeding)
        .job(compute)
        .worker("compute", Queues::only(["compute"]))
        .task("enqueue", enqueue)
        .main()
}
