//! An app whose migrations are those of a directory, for the tests of `release`: one binary is built from each state of a history.

use std::{env, path::Path};

use sqlx::migrate::Migrator;
use twelve::prelude::*;

fn main() -> ExitCode {
    let directory = env::var("MIGRATIONS").expect("MIGRATIONS names a directory");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let migrations = runtime
        .expect("a runtime")
        .block_on(Migrator::new(Path::new(&directory)))
        .expect("the directory holds migrations");
    App::new("migrating").migrations(migrations).main()
}
