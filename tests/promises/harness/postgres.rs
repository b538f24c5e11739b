//! A real Postgres: the one that all tests share, or one of a test's own.

use std::path::Path;
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use twelve::services::{Directory, Error, Server, Services, Stop, Wanted};

/// A server, which stays up at least as long as this.
#[derive(Clone, Debug)]
pub(crate) struct Postgres {
    /// The URL of a database that may be used to create others.
    pub(crate) url: String,
    /// Nothing for a server that somebody else runs.
    services: Option<Arc<Services>>,
}

impl Postgres {
    /// The server that `DATABASE_URL` names, else the worktree's own.
    pub(crate) async fn shared() -> Self {
        if let Ok(url) = std::env::var("DATABASE_URL") {
            return Self {
                url,
                services: None,
            };
        }
        let worktree = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self::attach(Directory::of_worktree(worktree).expect("the worktree exists")).await
    }

    /// A server of the test's own, to be stopped and started again.
    pub(crate) async fn private() -> Self {
        Self::attach(Directory::private()).await
    }

    /// Stops it in order: every session is ended, and nobody listens.
    pub(crate) async fn stop(&self) {
        self.with_server(|server| server.stop(Stop::Clean)).await;
    }

    /// Stops it the way a crash does.
    pub(crate) async fn kill(&self) {
        self.with_server(|server| server.stop(Stop::Kill)).await;
    }

    /// Stops it as `pg_ctl stop -m immediate` does: every session is dropped, and the next start recovers from the log.
    pub(crate) async fn stop_immediately(&self) {
        self.with_server(|server| {
            if let Some(pid) = server
                .pid()
                .and_then(|pid| Pid::from_raw(pid.cast_signed()))
            {
                let _ = kill_process(pid, Signal::QUIT);
            }
            // Postgres takes no milder order after that one: this only waits.
            server.stop(Stop::Clean)
        })
        .await;
    }

    /// Starts it again and waits until it takes connections.
    pub(crate) async fn start_again(&self) {
        self.with_server(Server::start).await;
    }

    /// Runs SQL that belongs to no database, as its superuser.
    pub(crate) async fn execute(&self, sql: impl Into<String>) {
        let sql = sql.into();
        let mut connection = self.connect().await;
        let done = sqlx::raw_sql(AssertSqlSafe(sql.clone()))
            .execute(&mut connection)
            .await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The one value, which is text, that it answers.
    pub(crate) async fn ask(&self, sql: &'static str) -> String {
        let mut connection = self.connect().await;
        let asked = sqlx::query_scalar(sql).fetch_one(&mut connection).await;
        asked.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Has it read its settings and its `pg_hba.conf` again.
    pub(crate) async fn reload(&self) {
        self.execute("SELECT pg_reload_conf()").await;
    }

    async fn connect(&self) -> PgConnection {
        let connection = PgConnection::connect(&self.url).await;
        connection.unwrap_or_else(|error| panic!("connect to {}: {error}", self.url))
    }

    async fn attach(directory: Directory) -> Self {
        let attaching = blocking(move || Services::attach(&directory, Wanted::Postgres));
        let services = attaching
            .await
            .unwrap_or_else(|error| panic!("no Postgres: {error}"));
        let url = services
            .database_url()
            .expect("Postgres was wanted")
            .to_owned();
        Self {
            url,
            services: Some(Arc::new(services)),
        }
    }

    async fn with_server(&self, act: impl FnOnce(&Server) -> Result<(), Error> + Send + 'static) {
        let services = Arc::clone(self.services.as_ref().expect("a server of the test's own"));
        let acting = blocking(move || act(services.postgres().expect("Postgres was wanted")));
        acting
            .await
            .unwrap_or_else(|error| panic!("Postgres: {error}"));
    }
}

/// The launcher blocks, and may not hold up a runtime.
async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(act)
        .await
        .expect("the launcher does not panic")
}
