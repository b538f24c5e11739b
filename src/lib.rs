#![doc = include_str!("../README.md")]

// The macros name `::twelve`, and unit tests use them too.
#[cfg(test)]
extern crate self as twelve;

#[cfg(not(all(feature = "mail", feature = "redis")))]
mod absent;
mod app;
mod cli;
#[cfg(feature = "mail")]
mod mail;
#[cfg(any(feature = "dev", feature = "test"))]
pub mod services;
mod task;
#[cfg(feature = "test")]
pub mod test;
mod wiring;

pub use app::App;
pub use task::{Args, TaskRun};

#[cfg(not(all(feature = "mail", feature = "redis")))]
#[doc(hidden)]
pub use absent::*;
pub use axum;
pub use clap;
pub use twelve_core::{
    Blocking, Cancelled, Conf, Config, Context, Db, DbConnection, DbTransaction, Environment,
    Error, Exit, Failure, FromContext, Problem, Reader, Res, Result, Run, Secret, Shutdown, Tx,
    Value,
};
#[cfg(feature = "redis")]
pub use twelve_core::{Redis, RedisConnection, Subscription, redis};
pub use twelve_web::{Idempotency, Json, Router};
#[cfg(feature = "mail")]
pub use twelve_worker::mail::{Attachment, Mail, Mailbox, Mailer, MessageId, Preview};
pub use twelve_worker::{
    Attempt, Cancel, Enqueued, Job, JobId, Jobs, Keep, Missed, NewJob, Outcome, Policy, Priority,
    Queues, Schedule, StepKey, Steps, Tick, Unique,
};

/// Makes a struct of variables a [`Config`](trait@Config).
///
/// ```
/// use twelve::{Config, Secret};
///
/// #[derive(Config)]
/// struct Settings {
///     /// Where the provider listens.
///     #[config(env = "PAYMENTS_URL", default = "http://localhost:5300")]
///     payments_url: String,
///     payments_key: Secret<String>, // PAYMENTS_KEY, or the file that PAYMENTS_KEY_FILE names
///     #[config(env = "CURRENCY")]
///     currency: Option<String>,
/// }
/// ```
pub use twelve_macros::Config;

/// Makes a struct of extractors an extractor.
///
/// ```
/// use twelve::{FromContext, Jobs, Tx};
///
/// #[derive(FromContext)]
/// struct Work {
///     tx: Tx,
///     jobs: Jobs,
/// }
/// ```
pub use twelve_macros::FromContext;

/// Makes a struct the payload of a [`Job`](trait@Job).
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use twelve::Job;
///
/// #[derive(Serialize, Deserialize, Job)]
/// #[job(kind = "charge_order", queue = "default", attempts = 8, timeout = "30s")]
/// struct ChargeOrder {
///     order: i64,
/// }
/// ```
///
/// | key | says | by default |
/// |---|---|---|
/// | `kind = "…"` | the stable name of such jobs | must be given |
/// | `aliases("…", "…")` | names under which such jobs were enqueued before | none |
/// | `queue = "…"` | the queue in which they wait | `"default"` |
/// | `priority = "…"` | `"high"`, `"normal"` or `"low"` | `"normal"` |
/// | `unique`, or `unique("…", "…")` | that jobs with one payload, or with the same values in these fields, are one: see [`Unique`] | not unique |
/// | `unique_within = "…"` | for how long at least, from the enqueue on | no time |
/// | `unique_until = "…"` | until the job has `"started"` or `"ended"` | `"ended"` |
/// | `on_conflict = "…"` | what becomes of a second one: `"keep"` the first, `"replace"` it as long as it has not started, or `"reject"` the second | `"keep"` |
/// | `attempts = …` | how many attempts may fail: 1 to 100 | 16 |
/// | `timeout = "…"` | how long one attempt may take | `"60s"` |
/// | `blocking` | that the handler runs on a thread for blocking work | on the runtime |
/// | `backoff = "…"`, `max_backoff = "…"` | the first pause, which doubles, and the longest | `"1s"`, `"1h"` |
/// | `fixed_backoff = "…"` | one pause, always the same | |
/// | `backoff_with = path` | a `fn(u32) -> Duration`, which is given the number of the attempt that failed | |
/// | `keep = "…"` | what is kept of a job that is done: `"nothing"`, a `"summary"` or `"everything"` | `"summary"` |
/// | `keep_for = "…"` | for how long | `"1d"` |
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use twelve::Job;
/// use std::time::Duration;
///
/// #[derive(Serialize, Deserialize, Job)]
/// #[job(kind = "restock", priority = "low", backoff_with = patiently, keep = "nothing")]
/// #[job(unique("sku"), unique_within = "1h")]
/// struct Restock {
///     sku: String,
///     amount: u32,
/// }
///
/// fn patiently(failed: u32) -> Duration {
///     Duration::from_mins(failed.into())
/// }
/// ```
pub use twelve_macros::Job;

/// Makes a struct a [`Mail`](trait@Mail).
///
/// The templates are [askama](https://docs.rs/askama)'s, in the package's `templates/`; they name the struct's fields.
///
/// ```
/// use twelve::{Attachment, Mail, Preview};
///
/// #[derive(Mail)]
/// #[mail(subject = "Your order {{ number }}", text = "receipt.txt", html = "receipt.html")]
/// struct Receipt {
///     #[mail(to)]
///     email: String, // ada@example.org, or Ada <ada@example.org>
///     number: u32,
///     lines: Vec<String>,
///     #[mail(attach)]
///     invoice: Option<Attachment>,
/// }
///
/// impl Preview for Receipt {
///     fn preview() -> Self {
///         Self {
///             email: "Ada <ada@example.org>".to_owned(),
///             number: 7,
///             lines: vec!["1 lamp".to_owned()],
///             invoice: None,
///         }
///     }
/// }
///
/// let app = twelve::App::new("shop").mail::<Receipt>();
/// assert_eq!(app.check(), Vec::<String>::new());
/// ```
#[cfg(feature = "mail")]
pub use twelve_macros::Mail;

#[cfg(not(feature = "mail"))]
#[doc(hidden)]
pub use twelve_macros::AbsentMail as Mail;

#[cfg(feature = "test")]
pub use twelve_macros::test;

/// HTTP, beyond what nearly every app uses: routes by method, extractors whose refusals are problems, middleware, idempotency, WebSockets.
///
/// Handlers, responses and layers are [axum]'s.
pub mod web {
    #[cfg(feature = "ws")]
    pub use twelve_web::ws;
    pub use twelve_web::{
        HttpArguments, HttpHandler, Idempotency, IdempotencyExt, Idempotent, IntoScope, Json,
        MethodRouter, Middleware, MiddlewareArguments, Next, PartsArguments, Path, Query, Router,
        delete, get, head, options, patch, post, put,
    };
}

/// Jobs, beyond what nearly every app uses: what handlers may take and return, and looking at jobs and acting on them.
pub mod worker {
    pub use twelve_worker::{
        Act, Admin, Cancellation, Cause, Due, Filter, IntoNewJob, IntoOutcome, JobArguments,
        JobDetails, JobError, JobRun, JobSummary, Pausable, Paused, Progress, Reason,
        ScheduleSummary, Schedules, State, Timestamp, Why, Within, WorkerId, WorkerSummary,
    };
}

/// What an app's modules want in scope.
pub mod prelude {
    pub use crate::web::{
        IdempotencyExt as _, Path, Query, delete, get, head, options, patch, post, put,
    };
    pub use crate::{
        App, Args, Attempt, Blocking, Cancel, Conf, Config, Context, Db, Failure, FromContext,
        Idempotency, Job, JobId, Jobs, Json, Missed, Outcome, Policy, Priority, Problem, Queues,
        Res, Result, Router, Schedule, Secret, Shutdown, StepKey, Steps, Tick, Tx, Unique,
    };
    #[allow(deprecated, reason = "so are the names of features that are off")]
    pub use crate::{Attachment, Mail, Mailer, Preview, Redis, RedisConnection};
    pub use axum::{http::StatusCode, response::IntoResponse};
    pub use serde::{Deserialize, Serialize};
    pub use std::process::ExitCode;
}

/// What macros expand to; not part of the API.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "mail")]
    pub use crate::mail::render;
    #[cfg(feature = "test")]
    pub use crate::test::run as run_test;
    #[cfg(feature = "mail")]
    pub use askama;
    pub use twelve_core::__private::{FromRef, FromRequestParts, Parts};
    pub use twelve_core::{Config, Context, Error, FromContext, Needs, Reader, Request, Run};
    #[cfg(feature = "mail")]
    pub use twelve_worker::mail::{Mail, Rendered};
    pub use twelve_worker::{Job, Keep, Policy, Priority, Unique};
}
