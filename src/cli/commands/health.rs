//! `health`: how the processes of this app on this host are, and their backing services.

use clap::ArgMatches;
use serde_json::json;
use std::io::{Write, stderr};
use twelve_core::{
    Db, Error, Exit, chain,
    health::{Report, probe},
};

use crate::cli::{Cli, output};

pub(in crate::cli) fn run(cli: &Cli, matches: &ArgMatches) -> Result<Exit, Error> {
    let wanted = matches.get_one::<String>("type");
    if let Some(name) = wanted
        && !cli.processes.iter().any(|process| process.name() == name)
    {
        return Err(Error::usage(format!("`{name}` is not a process type")));
    }
    let mut reports = probe(&cli.app.name, &cli.environment)?;
    reports.retain(|report| wanted.is_none_or(|name| report.process_type == *name));
    if reports.is_empty() {
        let app = &cli.app.name;
        // To people, beside whatever the result is.
        let _ = writeln!(
            stderr(),
            "{app}: no process answers; is TWELVE_STATE_DIR the same there? Those of `dev` answer `{app} dev health`"
        );
    }
    let healthy = match matches.get_one::<String>("probe").map(String::as_str) {
        Some("live") => all(&reports, |report| report.live),
        Some(_) => all(&reports, Report::is_ready),
        None => {
            show(cli, &reports, matches.get_flag("json"))?;
            all(&reports, Report::is_ready)
        }
    };
    Ok(if healthy { Exit::Done } else { Exit::Failure })
}

/// No process at all is not healthy.
fn all(reports: &[Report], good: impl Fn(&Report) -> bool) -> bool {
    !reports.is_empty() && reports.iter().all(good)
}

fn show(cli: &Cli, reports: &[Report], as_json: bool) -> Result<(), Error> {
    let services = services(cli)?;
    if as_json {
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
fn services(cli: &Cli) -> Result<Vec<(&'static str, Option<String>)>, Error> {
    let context = cli.context("health");
    let mut services = Vec::new();
    cli.block_on(async {
        if cli.environment.is_set("DATABASE_URL") {
            let answer = async { ping_postgres(&context.db()?).await }.await;
            services.push(("postgres", answer.err().map(|error| chain(&error))));
        }
        #[cfg(feature = "redis")]
        if cli.environment.is_set("REDIS_URL") {
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
