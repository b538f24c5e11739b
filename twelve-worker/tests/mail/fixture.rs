//! An app that delivers mails, and mailers that run in the test's own runtime.

use sqlx::ConnectOptions;
use std::sync::Arc;
use tokio::task::JoinHandle;
use twelve::test::TestDatabase;
use twelve_core::{
    Context, Environment, Error, Exit, Failure, Identity, Lifecycle, Result, Tx,
    migrations::Migrations,
};
use twelve_worker::{
    Admin, Filter, JobDetails, JobId, State,
    mail::{Attachment, Mail, Mailer, MessageId, Rendered, mailer},
    migrations,
    store::conformance::until,
};

use crate::server::SmtpServer;

pub(crate) struct App {
    _database: TestDatabase,
    environment: Environment,
    context: Context,
    pub(crate) mailer: Mailer,
    pub(crate) admin: Admin,
}

/// A mail as `derive(Mail)` would make it.
pub(crate) struct Note {
    pub(crate) to: Vec<String>,
    pub(crate) bcc: Vec<String>,
    pub(crate) text: &'static str,
}

impl Note {
    pub(crate) fn to(to: &[&str]) -> Self {
        Self {
            to: to.iter().map(|&to| to.to_owned()).collect(),
            bcc: Vec::new(),
            text: "Hello\n.\n..\nend\n",
        }
    }
}

impl Mail for Note {
    const NAME: &'static str = "Note";

    fn render(&self) -> std::result::Result<Rendered, Error> {
        Ok(Rendered::new(Self::NAME, "Größe", self.text)
            .with_to(&self.to)
            .with_bcc(&self.bcc)
            .with_attachments(&Attachment::new("a.txt", "text/plain", "one\ntwo\r\n")))
    }
}

/// A mailer in this runtime.
pub(crate) struct Running {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) main: JoinHandle<Result<Exit, Failure>>,
}

impl Running {
    pub(crate) async fn stop(self) -> Exit {
        self.lifecycle.begin_drain();
        self.main.await.unwrap().unwrap()
    }
}

impl App {
    pub(crate) async fn new(smtp_url: &str, variables: &[(&str, &str)]) -> Self {
        let migrations = Migrations::new(migrations(), None);
        let database = TestDatabase::fresh(&migrations).await.unwrap();
        let mut environment = Environment::default()
            .with("DATABASE_URL", database.url())
            .with("MAIL_FROM", "Shop <shop@shop.example>")
            .with("SMTP_URL", smtp_url);
        for (name, value) in variables {
            environment = environment.with(*name, *value);
        }
        let context = context(&environment);
        Self {
            _database: database,
            environment,
            mailer: Mailer::of(&context).unwrap(),
            admin: Admin::of(&context).unwrap(),
            context,
        }
    }

    pub(crate) async fn of(server: &SmtpServer) -> Self {
        // One at a time: then the order is certain, and one connection must do.
        Self::new(&server.url(), &[]).await
    }

    pub(crate) fn start(&self) -> Running {
        let context = context(&self.environment);
        let lifecycle = context.lifecycle().clone();
        Running {
            lifecycle,
            main: tokio::spawn(mailer().main(context)),
        }
    }

    pub(crate) async fn deliver(&self, to: &[&str]) -> MessageId {
        self.mailer.deliver(Note::to(to)).await.unwrap()
    }

    pub(crate) fn tx(&self) -> Tx {
        let run = twelve_core::Run::new(self.context.clone(), ());
        Tx::of(run.tx_cell(), self.context.db().unwrap()).unwrap()
    }

    /// The deliveries in this state, the oldest first.
    pub(crate) async fn jobs(&self, state: State) -> Vec<JobDetails> {
        let mut jobs = Vec::new();
        for job in self.admin.list(&Filter::new().state(state)).await.unwrap() {
            jobs.extend(self.admin.show(job.id).await.unwrap());
        }
        jobs.reverse();
        jobs
    }

    pub(crate) async fn until_jobs(&self, state: State, count: usize) -> Vec<JobDetails> {
        until(state.name(), async || {
            let jobs = self.jobs(state).await;
            (jobs.len() == count).then_some(jobs)
        })
        .await
    }

    /// The one delivery, once an attempt at it has ended without success.
    pub(crate) async fn until_put_off(&self) -> JobDetails {
        until("an attempt that failed", async || {
            let jobs = self.jobs(State::Scheduled).await;
            jobs.into_iter().find(|job| !job.errors.is_empty())
        })
        .await
    }

    /// Makes a job due at once.
    pub(crate) async fn retry(&self, job: JobId) {
        assert_eq!(self.admin.retry(&[job]).await.unwrap(), [job]);
    }

    pub(crate) async fn execute(&self, statement: &'static str) {
        let db = self.context.db().unwrap();
        let mut connection = db.options().connect().await.unwrap();
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .unwrap();
    }
}

fn context(environment: &Environment) -> Context {
    Context::new(
        Identity::new("t", "mailer"),
        environment.clone(),
        Lifecycle::default(),
        twelve_core::Registry::default(),
    )
}

/// A lock that two parts of a test share.
pub(crate) fn gate() -> Arc<tokio::sync::Notify> {
    Arc::default()
}
