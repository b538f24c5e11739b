//! `ps`: the processes that run jobs, on all hosts.

use clap::Args;
use serde_json::json;
use twelve_core::{Error, Exit};
use twelve_worker::{Admin, WorkerSummary};

use crate::cli::{
    command::Command,
    invocation::Invocation,
    output::{self, Format},
};

/// List the processes that run jobs, on all hosts.
#[derive(Args)]
pub(super) struct Ps {
    #[command(flatten)]
    format: Format,
}

impl Command for Ps {
    const NAME: &'static str = "ps";

    fn run(self, invocation: &Invocation) -> Result<Exit, Error> {
        let context = invocation.context("ps");
        invocation.block_on(async {
            let workers = Admin::of(&context)?.workers().await;
            context.close().await;
            let workers = workers?;
            if self.format.json {
                output::print_json("processes", json!(workers))?;
            } else {
                let rows: Vec<_> = workers.iter().map(row).collect();
                let heading = [
                    "TYPE", "HOST", "PID", "RELEASE", "STATE", "JOBS", "QUEUES", "STARTED",
                ];
                output::print_table(heading, &rows)?;
            }
            Ok(Exit::Done)
        })
    }
}

fn row(worker: &WorkerSummary) -> [String; 8] {
    [
        worker.process_type.clone(),
        worker.host.clone(),
        worker.pid.to_string(),
        worker.release.clone().unwrap_or_default(),
        if worker.draining { "draining" } else { "ready" }.to_owned(),
        format!("{}/{}", worker.held, worker.concurrency),
        worker.queues.to_string(),
        worker.started_at.to_string(),
    ]
}
