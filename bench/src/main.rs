//! twelve's jobs beside the physical limit and beside other job queues for Rust.
//!
//! ```text
//! main ─► for each case: for each run: for each system
//!           database (fresh) ─► system: prepare, fill ─► worker (a process) ─► check ─► value
//!         ─► report: table, jobs.json
//! ```

mod cases;
mod database;
mod postgres;
mod report;
mod seen;
mod system;
mod systems;
mod worker;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, builder::PossibleValuesParser, error::ErrorKind};
use std::{env, path::Path, process::ExitCode};

use cases::Measurement;
use postgres::Postgres;
use report::Point;
use system::System;

/// The exit code of a wrong command line (sysexits.h).
const USAGE: u8 = 64;

const OUTPUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench/jobs.json");

/// Measures twelve beside others, each in turn, on a private Postgres.
#[derive(Parser)]
#[command(name = "bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Job queues: prints a table, and writes target/bench/jobs.json.
    Jobs {
        /// Only these systems.
        #[arg(long, value_name = "SYSTEM,…", value_delimiter = ',', value_parser = systems())]
        only: Vec<String>,
        /// Only these cases; old-snapshot, which takes 6 minutes a run, is made only when named here.
        #[arg(long, value_name = "CASE,…", value_delimiter = ',', value_parser = case_names())]
        case: Vec<String>,
        /// How often each is measured.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
        runs: u32,
    },
}

fn systems() -> PossibleValuesParser {
    systems::ALL
        .iter()
        .map(|system| system.name())
        .collect::<Vec<_>>()
        .into()
}

fn case_names() -> PossibleValuesParser {
    let cases = cases::ALL.iter().flat_map(|measurement| measurement.cases);
    cases.map(|case| case.name).collect::<Vec<_>>().into()
}

fn main() -> ExitCode {
    let done = match env::var(worker::WORKER) {
        Ok(name) => work(&name),
        Err(_) => bench(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("bench: {error:#}");
        ExitCode::FAILURE
    })
}

fn work(name: &str) -> Result<ExitCode> {
    let system = systems::named(name).with_context(|| format!("no system `{name}`"))?;
    worker::main(system)
}

fn bench() -> Result<ExitCode> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            error.print()?;
            let asked = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            return Ok(if asked {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(USAGE)
            });
        }
    };
    let Command::Jobs { only, case, runs } = cli.command;
    let systems: Vec<_> = systems::ALL
        .into_iter()
        .filter(|system| only.is_empty() || only.iter().any(|name| name == system.name()))
        .collect();
    let measurements: Vec<_> = cases::ALL
        .iter()
        .filter(|measurement| match &*case {
            [] => !measurement.is_extra(),
            names => measurement
                .cases
                .iter()
                .any(|case| names.iter().any(|name| name == case.name)),
        })
        .collect();
    let runtime = tokio::runtime::Runtime::new()?;
    let mut failures = Vec::new();
    let points = runtime.block_on(measure(&measurements, &systems, runs, &mut failures))?;
    let names: Vec<_> = systems.iter().map(|system| system.name()).collect();
    print!("{}", report::table(&points, &names));
    report::write(&points, Path::new(OUTPUT))?;
    for failure in &failures {
        eprintln!("bench: FAILED: {failure}");
    }
    Ok(if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn measure(
    measurements: &[&Measurement],
    systems: &[&'static dyn System],
    runs: u32,
    failures: &mut Vec<String>,
) -> Result<Vec<Point>> {
    let server = Postgres::start("default", &[])?;
    let mut points = Vec::new();
    for measurement in measurements {
        let counting = if measurement.counts_statements() {
            let settings = ["shared_preload_libraries=pg_stat_statements"];
            Some(Postgres::start("counting", &settings)?)
        } else {
            None
        };
        let server = counting.as_ref().unwrap_or(&server);
        points.extend(one(measurement, systems, runs, server, failures).await);
    }
    Ok(points)
}

/// Run by run, all systems one after the other, so that noise hits all alike.
async fn one(
    measurement: &Measurement,
    systems: &[&'static dyn System],
    runs: u32,
    server: &Postgres,
    failures: &mut Vec<String>,
) -> Vec<Point> {
    let taking_part: Vec<_> = systems
        .iter()
        .copied()
        .filter(|system| system.can(measurement.ability))
        .collect();
    let mut values = vec![Vec::new(); taking_part.len()];
    for run in 1..=runs {
        for (system, values) in taking_part.iter().zip(&mut values) {
            let name = system.name();
            match measurement.make(*system, server).await {
                Ok(Some(made)) => {
                    eprintln!("run {run} of {runs}: {name}: {}", shown(measurement, &made));
                    values.push(made);
                }
                Ok(None) => {}
                // The others go on: hours of measurements must not be lost over one.
                Err(error) => {
                    let failure = format!("{name}: {}: {error:#}", measurement.cases[0].name);
                    eprintln!("run {run} of {runs}: FAILED: {failure}");
                    failures.push(failure);
                }
            }
        }
    }
    let mut points = Vec::new();
    for (index, case) in measurement.cases.iter().enumerate() {
        for (system, values) in taking_part.iter().zip(&values) {
            let values = values.iter().map(|run| run[index]).collect();
            points.extend(Point::of(system.name(), *case, values));
        }
    }
    points
}

fn shown(measurement: &Measurement, values: &[f64]) -> String {
    let values = values.iter().zip(measurement.cases);
    let values = values.map(|(value, case)| format!("{} {value:.2} {}", case.name, case.unit));
    values.collect::<Vec<_>>().join(", ")
}
