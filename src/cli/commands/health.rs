//! `health`: how the processes of this app on this host are, and their backing services.

use clap::{Args, ValueEnum};
use serde_json::json;
use std::io::{Write, stderr};
use twelve_core::{
    Db, Error, Exit, chain,
    health::{Report, probe},
};

use crate::cli::{
    command::Command,
    invocation::Invocation,
    output::{self, Format},
};

/// Ask the processes on this host how they are.
#[derive(Args)]
pub(super) struct Health {
    /// Only the exit code of this probe, without asking the backing services.
    probe: Option<Probe>,
    /// Only processes of this type.
    #[arg(long = "type", value_name = "TYPE")]
    process_type: Option<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Probe {
    Live,
    Ready,
}

impl Command for Health {
    const NAME: &'static str = "health";

    fn run(self, invocation: &Invocation) -> Result<Exit, Error> {
        let app = &invocation.app.name;
        let wanted = self.process_type.as_deref();
        if let Some(name) = wanted {
            invocation.process_type(name)?;
        }
        let mut reports = probe(app, &invocation.environment)?;
        reports.retain(|report| wanted.is_none_or(|name| report.process_type == name));
        if reports.is_empty() {
            // To people, beside whatever the result is.
            let _ = writeln!(
                stderr(),
                "{app}: no process answers; is TWELVE_STATE_DIR the same there? Those of `dev` answer `{app} dev health`"
            );
        }
        let healthy = match self.probe {
            Some(Probe::Live) => all(&reports, |report| report.live),
            Some(Probe::Ready) => all(&reports, Report::is_ready),
            None => {
                show(invocation, &reports, &self.format)?;
                all(&reports, Report::is_ready)
            }
        };
        Ok(if healthy { Exit::Done } else { Exit::Failure })
    }
}

/// No process at all is not healthy.
fn all(reports: &[Report], good: impl Fn(&Report) -> bool) -> bool {
    !reports.is_empty() && reports.iter().all(good)
}

fn show(invocation: &Invocation, reports: &[Report], format: &Format) -> Result<(), Error> {
    let services = services(invocation)?;
    if format.json {
        let services = services
            .iter()
            .map(|(name, fault)| json!({"name": name, "ok": fault.is_none(), "fault": fault}))
            .collect::<Vec<_>>();
        return output::print_json(
            "health",
            json!({"processes": reports, "services": services}),
        );
    }
    let processes = reports.iter().map(|report| {
        let live = if report.live { "live" } else { "NOT LIVE" };
        [
            report.process_type.clone(),
            report.pid.to_string(),
            format!("{live}, {}, {} running", report.state, report.running),
        ]
    });
    let services = services.into_iter().map(|(name, fault)| {
        let state = fault.map_or_else(|| "ok".to_owned(), |fault| format!("DOWN: {fault}"));
        [name.to_owned(), String::new(), state]
    });
    let rows: Vec<_> = processes.chain(services).collect();
    output::print_table(["NAME", "PID", "STATE"], &rows)
}

/// The backing services that have a URL, with what is wrong with them.
///
/// They are told, and do not count: restarting a process mends no database.
fn services(invocation: &Invocation) -> Result<Vec<(&'static str, Option<String>)>, Error> {
    let context = invocation.context("health");
    let mut services = Vec::new();
    invocation.block_on(async {
        if invocation.environment.is_set("DATABASE_URL") {
            let answer = async { ping_postgres(&context.db()?).await }.await;
            services.push(("postgres", answer.err().map(|error| chain(&error))));
        }
        #[cfg(feature = "redis")]
        if invocation.environment.is_set("REDIS_URL") {
            let answer = async { context.redis()?.connection().await }.await;
            services.push(("redis", answer.err().map(|error| chain(&error))));
        }
        Ok(Exit::Done)
    })?;
    Ok(services)
}

async fn ping_postgres(db: &Db) -> Result<(), Error> {
    sqlx::query("SELECT 1").execute(db).await?;
    Ok(())
}
