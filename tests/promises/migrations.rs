//! What a release applies, what it refuses, and what it leaves behind when it is killed (migrations of the app's own).

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;
use sqlx::{Connection as _, Executor as _, PgConnection, migrate::Migrate as _};

use crate::harness::binaries;
use crate::harness::database::Database;
use crate::harness::process::{Finished, Launch};
use crate::harness::shop::{COMMAND_BOUND, StateDirectory};
use crate::harness::wait::{until, until_true};

const SOON: Duration = Duration::from_secs(20);

const TABLE: (&str, &str) = ("1_rows.sql", "CREATE TABLE rows (x int);\n");

const INDEX: (&str, &str) = (
    "2_by_x.sql",
    "-- no-transaction\nCREATE INDEX CONCURRENTLY by_x ON rows (x);\n",
);

/// An app and its database; the app is another with each state of its migrations.
#[derive(Debug)]
struct Migrating {
    database: Database,
    directory: Files,
    state: StateDirectory,
}

/// Migrations in a directory, removed with the test.
#[derive(Debug)]
struct Files(PathBuf);

impl Files {
    fn with(files: &[(&str, &str)]) -> Self {
        let name = format!("twelve-migrations-{:016x}", fastrand::u64(..));
        let files_in = Self(std::env::temp_dir().join(name));
        fs::create_dir(&files_in.0).expect("create a directory for migrations");
        for (name, sql) in files {
            files_in.write(name, sql);
        }
        files_in
    }

    fn write(&self, name: &str, sql: &str) {
        fs::write(self.0.join(name), sql).expect("write a migration");
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.0.join(name)).expect("remove a migration");
    }

    fn launch<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Launch {
        Launch::new(&binaries::example("migrating"))
            .args(arguments)
            .var("MIGRATIONS", self.0.to_string_lossy())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Migrating {
    async fn with(files: &[(&str, &str)]) -> Self {
        Self {
            database: Database::create().await,
            directory: Files::with(files),
            state: StateDirectory::new(),
        }
    }

    /// The same, and what it has is applied.
    async fn released(files: &[(&str, &str)]) -> Self {
        let app = Self::with(files).await;
        app.release().await.expect_code(0);
        app
    }

    fn launch<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Launch {
        self.launch_of(&self.directory, arguments)
    }

    /// The app as it is with other migrations, on the same database.
    fn launch_of<'a>(&self, files: &Files, arguments: impl IntoIterator<Item = &'a str>) -> Launch {
        files
            .launch(arguments)
            .var("DATABASE_URL", &*self.database.url)
            .var("TWELVE_STATE_DIR", self.state.path())
    }

    async fn release(&self) -> Finished {
        self.launch(["release"]).run(COMMAND_BOUND).await
    }

    async fn plan(&self) -> Finished {
        self.launch(["release", "--plan"]).run(COMMAND_BOUND).await
    }

    async fn connect(&self) -> PgConnection {
        let connection = PgConnection::connect(&self.database.url).await;
        connection.expect("connect to the database")
    }

    /// Checks that plan and release are refused for this, and that both leave the history alone.
    async fn expect_refused(&self, because: &[&str]) {
        let history = || self.database.rows("_sqlx_migrations");
        let before = history().await;
        let plan = self.plan().await.expect_code(1);
        assert!(!plan.stdout.contains("nothing to do"), "{}", plan.stdout);
        let release = self.release().await.expect_code(1);
        for text in because {
            assert!(plan.stderr.contains(text), "{text}: {}", plan.stderr);
            assert!(release.stderr.contains(text), "{text}: {}", release.stderr);
        }
        assert_eq!(history().await, before, "{because:?}");
    }

    /// Is the index there, and valid?
    async fn index_is_valid(&self, index: &str) -> Option<bool> {
        let sql = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)";
        let valid = sqlx::query_scalar(sql).bind(index);
        let valid = valid.fetch_optional(&mut self.connect().await).await;
        valid.expect("ask for the index")
    }

    async fn until_none_runs(&self, statement: &str) {
        let mut connection = self.connect().await;
        until_true("the killed release's session to end", SOON, async || {
            let sql = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database() AND starts_with(query, $1)";
            let none = sqlx::query_scalar(sql).bind(statement);
            none.fetch_one(&mut connection).await.expect("ask for sessions")
        })
        .await;
    }
}

#[tokio::test]
async fn releases_at_once_build_an_index_concurrently() {
    for _ in 0..6 {
        let (two, three) = (
            Migrating::with(&[TABLE, INDEX]).await,
            Migrating::with(&[TABLE, INDEX]).await,
        );
        let releases = tokio::join!(
            two.release(),
            two.release(),
            three.release(),
            three.release(),
            three.release(),
        );
        for release in <[Finished; 5]>::from(releases) {
            release.expect_code(0);
        }
        for app in [two, three] {
            assert_eq!(app.index_is_valid("by_x").await, Some(true));
        }
    }
}

/// A release of a binary that still uses sqlx's own lock is waited for, and it is said who holds it.
#[tokio::test]
async fn a_release_waits_for_the_lock_of_sqlx_and_says_who_holds_it() {
    let app = Migrating::with(&[TABLE]).await;
    let mut older = app.connect().await;
    older
        .execute("SET application_name = 'older/release'")
        .await
        .expect("name the session");
    older.lock().await.expect("take sqlx's lock");
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut older)
        .await
        .expect("ask for the session's id");

    let mut release = app.launch(["release"]).spawn();
    until_true("the release to say what it waits for", SOON, async || {
        let log = release.log();
        log.contains("waiting") && log.contains("older/release") && log.contains(&pid.to_string())
    })
    .await;
    release.expect_running();
    // No snapshot is held while it waits, or CREATE INDEX CONCURRENTLY would wait for it.
    older
        .execute("CREATE TABLE held (x int)")
        .await
        .expect("create a table");
    older
        .execute("CREATE INDEX CONCURRENTLY ON held (x)")
        .await
        .expect("build an index beside a release that waits");
    older.unlock().await.expect("give sqlx's lock back");
    assert_eq!(release.exit_within(SOON).await.code, Some(0));
    assert_eq!(app.database.count("rows").await, 0);
}

#[tokio::test]
async fn a_release_goes_on_when_the_one_it_waits_for_is_killed() {
    let app = Migrating::with(&[("1_rows.sql", "SELECT pg_sleep(600);\n")]).await;
    let mut slow = app.launch(["release"]).spawn();
    let mut connection = app.connect().await;
    until_true("the first release to be at work", SOON, async || {
        let sql = "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
        let sleeping = sqlx::query_scalar(sql).fetch_one(&mut connection).await;
        sleeping.expect("ask for sessions")
    })
    .await;

    let mended = Files::with(&[TABLE]);
    let mut release = app.launch_of(&mended, ["release"]).spawn();
    until_true("the second release to wait", SOON, async || {
        release.log().contains("waiting")
    })
    .await;
    slow.kill();
    assert_eq!(release.exit_within(SOON).await.code, Some(0));
    assert_eq!(app.database.count("rows").await, 0);
}

#[tokio::test]
async fn a_release_that_waits_may_be_killed_or_stopped() {
    let app = Migrating::with(&[TABLE]).await;
    let mut holder = app.connect().await;
    holder.lock().await.expect("take the lock");
    for (signal, code) in [(Signal::KILL, None), (Signal::TERM, Some(1))] {
        let mut release = app.launch(["release"]).spawn();
        until_true("the release to wait", SOON, async || {
            release.log().contains("waiting")
        })
        .await;
        release.signal(signal);
        assert_eq!(release.exit_within(SOON).await.code, code);
    }
    holder.unlock().await.expect("give the lock back");
    app.release().await.expect_code(0);
}

#[tokio::test]
async fn a_release_that_is_killed_while_it_builds_an_index_is_told_what_to_do() {
    let safe = "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS by_x ON rows (x);\n";
    for sql in [INDEX.1, safe] {
        let app = Migrating::released(&[TABLE]).await;
        app.directory.write("2_by_x.sql", sql);
        // CREATE INDEX CONCURRENTLY waits for whoever has written to the table.
        let mut connection = app.connect().await;
        let mut writer = connection.begin().await.expect("begin");
        writer
            .execute("INSERT INTO rows VALUES (1)")
            .await
            .expect("write a row");
        let mut release = app.launch(["release"]).spawn();
        until("the index to be begun", SOON, async || {
            app.index_is_valid("by_x").await
        })
        .await;
        release.kill();
        app.until_none_runs("-- no-transaction").await;
        writer.rollback().await.expect("roll back");

        app.expect_refused(&["DROP INDEX CONCURRENTLY by_x"]).await;
        app.database.execute("DROP INDEX CONCURRENTLY by_x").await;
        app.plan().await.expect_code(0);
        app.release().await.expect_code(0);
        assert_eq!(app.index_is_valid("by_x").await, Some(true));
    }
}

#[tokio::test]
async fn an_index_that_cannot_be_built_is_said_to_be_left_over() {
    let app = Migrating::released(&[TABLE]).await;
    app.database
        .execute("INSERT INTO rows VALUES (1), (1)")
        .await;
    let unique = "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY by_x ON rows (x);\n";
    app.directory.write("2_by_x.sql", unique);
    let failed = app.release().await.expect_code(1);
    failed
        .expect_in_stderr("the app's migration 2 (by x) failed, and no transaction undoes")
        .expect_in_stderr("SQLSTATE 23505");
    app.expect_refused(&["DROP INDEX CONCURRENTLY by_x"]).await;

    // The same as a migration: what it removes is nothing to be refused for.
    app.database.execute("DELETE FROM rows").await;
    app.directory.remove("2_by_x.sql");
    let drop = "-- no-transaction\nDROP INDEX CONCURRENTLY IF EXISTS by_x;\n";
    app.directory.write("2_drop.sql", drop);
    app.directory.write("3_by_x.sql", unique);
    app.plan().await.expect_code(0);
    app.release().await.expect_code(0);
    assert_eq!(app.index_is_valid("by_x").await, Some(true));
}

#[tokio::test]
async fn an_index_that_was_built_and_not_recorded_is_named() {
    let app = Migrating::released(&[TABLE]).await;
    app.database
        .execute("CREATE INDEX CONCURRENTLY by_x ON rows (x)")
        .await;
    app.directory.write(INDEX.0, INDEX.1);
    app.expect_refused(&["write IF NOT EXISTS"]).await;
    let safe = "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS by_x ON rows (x);\n";
    app.directory.write(INDEX.0, safe);
    app.release().await.expect_code(0);
}

#[tokio::test]
async fn a_changed_migration_is_refused_with_the_ways_out() {
    let app = Migrating::released(&[TABLE]).await;
    app.directory
        .write(TABLE.0, "CREATE TABLE rows (x bigint);\n");
    app.expect_refused(&[
        "the app's migration 1 (rows) was changed after it was applied",
        "as a new migration",
        "`dev --fresh`",
    ])
    .await;
}

#[tokio::test]
async fn other_line_endings_are_told_from_a_change() {
    let unix = "CREATE TABLE rows (\n  x int\n);\n";
    let windows = unix.replace('\n', "\r\n");
    for (applied, built, way_out) in [
        (unix, windows.as_str(), "`*.sql text eol=lf`"),
        (windows.as_str(), unix, "`*.sql text eol=crlf`"),
    ] {
        let app = Migrating::released(&[(TABLE.0, applied)]).await;
        app.directory.write(TABLE.0, built);
        app.expect_refused(&["line endings", way_out]).await;
    }
}

#[tokio::test]
async fn a_binary_that_is_older_than_the_database_is_refused() {
    let app = Migrating::released(&[TABLE, ("2_more.sql", "CREATE TABLE more (x int);\n")]).await;
    app.directory.remove("2_more.sql");
    app.expect_refused(&[
        "the app's migration 2 (more) was applied, and this binary does not have it",
    ])
    .await;
}

#[tokio::test]
async fn everything_that_is_refused_is_named_at_once() {
    let app = Migrating::released(&[TABLE, ("2_more.sql", "CREATE TABLE more (x int);\n")]).await;
    app.database
        .execute("UPDATE _sqlx_migrations SET success = false WHERE version = 1")
        .await;
    app.directory.remove("2_more.sql");
    app.directory.write("3_one.sql", "SELECT 1;\n");
    app.directory.write("3_two.sql", "SELECT 2;\n");
    app.expect_refused(&[
        "the app's migration 1 (rows) is recorded as applied in part",
        "the app's migration 2 (more) was applied, and this binary does not have it",
        "have the same version",
    ])
    .await;
}

#[tokio::test]
async fn statements_that_postgres_would_refuse_are_refused_before_anything_is_applied() {
    let app = Migrating::released(&[TABLE]).await;
    let marker_too_late = format!("\n{}", INDEX.1);
    let two = "-- no-transaction\nCREATE INDEX CONCURRENTLY a ON rows (x);\nCREATE INDEX CONCURRENTLY b ON rows (x);\n";
    for (sql, kind) in [
        (two, "CREATE INDEX CONCURRENTLY"),
        (
            "CREATE INDEX CONCURRENTLY a ON rows (x);\n",
            "CREATE INDEX CONCURRENTLY",
        ),
        (marker_too_late.as_str(), "CREATE INDEX CONCURRENTLY"),
        (
            "-- no-transaction\nSET lock_timeout = '5s'; VACUUM rows;\n",
            "VACUUM",
        ),
    ] {
        app.directory
            .write("2_before.sql", "CREATE TABLE before (x int);\n");
        app.directory.write("3_alone.sql", sql);
        let refusal = format!("the app's migration 3 (alone) has {kind}");
        app.expect_refused(&[&refusal, "make it the only one of a migration"])
            .await;
    }
    // What Postgres does run at once stays allowed, and one whose words do not tell is told by Postgres.
    let values =
        "-- no-transaction\nCREATE TYPE mood AS ENUM ('a');\nALTER TYPE mood ADD VALUE 'b';\n";
    app.directory.write("3_alone.sql", values);
    app.release().await.expect_code(0);
    app.directory.write("4_cluster.sql", "CLUSTER;\n");
    let failed = app.release().await.expect_code(1);
    failed.expect_in_stderr("make it the only one of a migration");
}

#[tokio::test]
async fn a_migration_that_comes_late_is_applied_all_the_same() {
    let app = Migrating::released(&[("2_more.sql", "CREATE TABLE more (x int);\n")]).await;
    app.directory.write(TABLE.0, TABLE.1);
    let plan = app.plan().await.expect_code(0);
    assert!(plan.stdout.contains("-- app 1 rows"), "{}", plan.stdout);
    app.release().await.expect_code(0);
    assert_eq!(app.database.count("rows").await, 0);
    let plan = app.plan().await.expect_code(0);
    assert_eq!(plan.stdout, "-- nothing to do\n");
}

#[tokio::test]
async fn a_plan_fails_where_a_release_could_not_write() {
    let app = Migrating::released(&[TABLE]).await;
    app.database
        .execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$")
        .await;
    let plan = app.plan().await;
    let release = app.release().await;
    assert!(!release.is_success());
    for finished in [&plan, &release] {
        assert!(finished.stderr.contains("read-only"), "{}", finished.stderr);
    }
    assert_eq!(plan.code(), release.code());
}

/// `dev release` is `release` on private servers, which here are those of another version.
#[tokio::test]
async fn a_server_that_is_too_old_is_named_before_anything_is_applied() {
    let Ok(old) = std::env::var("POSTGRES_13") else {
        println!("skipped: POSTGRES_13 names no directory with the binaries of Postgres 13");
        return;
    };
    let files = Files::with(&[TABLE]);
    let path = std::env::var("PATH").expect("a PATH");
    for words in [&["dev", "release"][..], &["dev", "release", "--plan"]] {
        let release = files
            .launch(words.iter().copied())
            .var("PATH", format!("{old}:{path}"))
            .directory(Path::new(&files.0));
        let release = release.run(COMMAND_BOUND).await.expect_code(78);
        release.expect_in_stderr("twelve needs 14 or newer");
    }
}
