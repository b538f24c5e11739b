//! `release`: brings the database to what this binary needs, before any process of it starts.

use clap::Args;
use std::sync::Arc;
use twelve_core::{
    Context, Db, Error, Exit, Failure, Needs, ProcessKind, ProcessType, migrations::Migrations,
    telemetry::Logs,
};

use crate::cli::{command::Command, invocation::Invocation, output};

/// Apply the migrations that the database lacks.
#[derive(Args)]
pub(super) struct Release {
    /// Print their SQL instead.
    #[arg(long)]
    plan: bool,
}

impl Command for Release {
    const NAME: &'static str = "release";

    fn run(self, invocation: &Invocation) -> Result<Exit, Error> {
        let mut needs = Needs::default();
        needs.add::<Db>();
        let migrations = Arc::new(invocation.app.all_migrations());
        let process = ProcessType::new("release", ProcessKind::Custom, needs, move |context| {
            release(context, Arc::clone(&migrations), self.plan)
        });
        let failed = if self.plan {
            "the release would fail"
        } else {
            "the release failed"
        };
        invocation
            .run(&process, Logs::Stderr)?
            .map_err(|failure| failure.into_error(failed))
    }
}

async fn release(
    context: Context,
    migrations: Arc<Migrations>,
    plan: bool,
) -> Result<Exit, Failure> {
    let db = context.db()?;
    context.lifecycle().ready();
    tokio::select! {
        // What runs is rolled back with its connection, which Postgres notices within a second.
        () = context.lifecycle().draining() => Err(Failure::new("it was told to stop")),
        done = async {
            if plan { show(&migrations, &db).await } else { apply(&migrations, &db).await }
        } => Ok(done.map(|()| Exit::Done)?),
    }
}

async fn show(migrations: &Migrations, db: &Db) -> Result<(), Error> {
    let plan = migrations.plan(db).await?;
    for step in &plan.pending {
        let heading = format!("-- {} {} {}\n", step.owner, step.version, step.description);
        output::print(&format!("{heading}{}\n", step.sql))?;
    }
    plan.check()?;
    if plan.pending.is_empty() {
        output::print("-- nothing to do\n")?;
    }
    Ok(())
}

async fn apply(migrations: &Migrations, db: &Db) -> Result<(), Error> {
    let applied = migrations.apply(db).await?;
    tracing::info!(applied = applied.len(), "the database is up to date");
    Ok(())
}
