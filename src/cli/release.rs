//! `release`: brings the database to what this binary needs, before any process of it starts.

use clap::ArgMatches;
use twelve_core::{Error, Exit};

use super::{Cli, output};

pub(super) fn run(cli: &Cli, matches: &ArgMatches) -> Result<Exit, Error> {
    let context = cli.context("release");
    let migrations = cli.app.all_migrations();
    cli.block_on(async {
        let db = context.db()?;
        if matches.get_flag("plan") {
            for step in migrations.pending(&db).await? {
                let heading = format!("-- {} {} {}\n", step.owner, step.version, step.description);
                output::print(&format!("{heading}{}\n", step.sql))?;
            }
        } else {
            let applied = migrations.apply(&db).await?;
            for step in &applied {
                tracing::info!(
                    owner = step.owner,
                    version = step.version,
                    description = step.description,
                    "applied"
                );
            }
            tracing::info!(applied = applied.len(), "the database is up to date");
        }
        context.close().await;
        Ok(Exit::Done)
    })
}
