//! The app: one job that does nothing but be counted.

use twelve::prelude::*;

use crate::seen;

/// A process type that listens for jobs, and runs none of ours.
pub const LISTENER: &str = "listener";

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "noop", keep = "nothing")]
pub struct Noop {
    pub id: u64,
}

/// Nobody enqueues it: it is there for the listener to wait for.
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "elsewhere", queue = "elsewhere")]
struct Elsewhere;

async fn elsewhere(_: Elsewhere) {}

async fn noop(Noop { id }: Noop) {
    seen::start(id);
}

pub fn app() -> App {
    App::new("bench")
        .job(noop)
        .job(elsewhere)
        .worker(LISTENER, Queues::only(["elsewhere"]))
}
