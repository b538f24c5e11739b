//! An app with a database of its own, whose handler does what the request says.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Request, StatusCode},
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;
use twelve::test::TestDatabase;
use twelve_core::{
    Context, Db, Environment, Identity, Lifecycle, Problem, Registry, Result, Tx,
    migrations::Migrations,
};
use twelve_web::{
    Idempotency, IdempotencyExt, Json, Router, Service, get, migrations, post, service,
};
use uuid::Uuid;

/// Longer than anything here takes.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// What a handler is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Plan {
    pub(crate) status: u16,
    pub(crate) then: Then,
}

/// What it does beside answering with a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Then {
    Answer,
    Panic,
    AnswerALot,
    Stream,
    /// Wait until it is let go.
    Wait,
    /// Lose its connection.
    Disconnect,
    /// Leave behind what the commit will refuse.
    BreakTheCommit,
    /// Fail a statement, and ignore that.
    IgnoreAFailure,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            status: 201,
            then: Then::Answer,
        }
    }
}

impl Plan {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(crate) fn then(then: Then) -> Self {
        Self {
            then,
            ..Self::default()
        }
    }
}

/// What handlers and tests share.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) runs: AtomicUsize,
    pub(crate) commits: AtomicUsize,
    pub(crate) gate: Notify,
}

pub(crate) struct App {
    pub(crate) context: Context,
    pub(crate) router: Router,
    pub(crate) shared: Arc<Shared>,
    pub(crate) db: Db,
}

/// An answer with its body read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn is_replay(&self) -> bool {
        self.header("idempotent-replayed") == Some("true")
    }

    /// The type of a problem.
    pub(crate) fn kind(&self) -> String {
        let document: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        document["type"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl App {
    pub(crate) async fn new() -> Self {
        let options = database().await;
        Self::on(options.to_url_lossy().as_str(), Db::new(options.clone(), 5))
    }

    /// An app on any URL, so also on one where there is no Postgres.
    pub(crate) fn on(url: &str, db: Db) -> Self {
        let shared = Arc::new(Shared::default());
        let context = Context::new(
            Identity::new("shop", "web"),
            Environment::default().with("DATABASE_URL", url),
            Lifecycle::default(),
            Registry::default(),
        );
        Self {
            router: router(&shared),
            context,
            shared,
            db,
        }
    }

    pub(crate) fn service(&self) -> Service {
        service(self.router.clone(), &self.context).unwrap()
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let service = self.service();
        let answer = tokio::time::timeout(BOUND, service.respond(request));
        read(answer.await.expect("no answer")).await
    }

    /// Asks for the plan, as one customer, with this key.
    pub(crate) async fn order(&self, key: &str, plan: &Plan) -> Answer {
        self.ask(order("ada", key, plan)).await
    }

    pub(crate) fn runs(&self) -> usize {
        self.shared.runs.load(Ordering::SeqCst)
    }

    pub(crate) async fn effects(&self) -> i64 {
        self.count("SELECT count(*) FROM effects").await
    }

    pub(crate) async fn records(&self) -> i64 {
        self.count("SELECT count(*) FROM twelve.idempotency_keys")
            .await
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.db).await.unwrap()
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.db).await.unwrap();
    }

    pub(crate) async fn until_running(&self, count: usize) {
        self.until(|running| running == count).await;
    }

    /// Waits until as many requests run as `enough` says.
    pub(crate) async fn until(&self, enough: impl Fn(usize) -> bool) {
        let reached = async {
            while !enough(self.context.lifecycle().tracker().running().len()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(BOUND, reached)
            .await
            .expect("nothing runs, or too much");
    }

    pub(crate) async fn until_run(&self, count: usize) {
        let reached = async {
            while self.runs() != count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(BOUND, reached)
            .await
            .expect("the handler does not run");
    }
}

pub(crate) async fn read(response: Response) -> Answer {
    let (parts, body) = response.into_parts();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes(),
    }
}

pub(crate) fn order(customer: &str, key: &str, plan: &Plan) -> Request<Body> {
    raw(
        customer,
        key,
        "application/json",
        serde_json::to_vec(plan).unwrap(),
    )
}

pub(crate) fn raw(
    customer: &str,
    key: &str,
    content_type: &str,
    body: impl Into<Body>,
) -> Request<Body> {
    Request::post("/orders")
        .header("customer", customer)
        .header("idempotency-key", key)
        .header("content-type", content_type)
        .body(body.into())
        .unwrap()
}

fn router(shared: &Arc<Shared>) -> Router {
    let place = {
        let shared = Arc::clone(shared);
        move |tx: Tx, db: Db, Json(plan): Json<Plan>| place(Arc::clone(&shared), tx, db, plan)
    };
    let without_tx = {
        let shared = Arc::clone(shared);
        move || {
            shared.runs.fetch_add(1, Ordering::SeqCst);
            async { (StatusCode::ACCEPTED, "taken") }
        }
    };
    // An axum handler of somebody who knows nothing of our router.
    let legacy = axum::Router::<Context>::new().route("/legacy", axum::routing::post(legacy));
    Router::new()
        .route("/plain", post(place.clone()))
        .route(
            "/orders",
            post(place.clone().idempotent(Idempotency::required(by_customer)))
                .get(place.clone().idempotent(Idempotency::required(by_customer))),
        )
        .route(
            "/optional",
            post(place.idempotent(Idempotency::optional(by_customer))),
        )
        .route(
            "/without-tx",
            post(
                without_tx
                    .clone()
                    .idempotent(Idempotency::required(by_customer)),
            ),
        )
        .route(
            "/for-ever",
            post(without_tx.idempotent(Idempotency::required(by_customer).expires(Duration::MAX))),
        )
        .route("/up", get(async || "up"))
        .merge(legacy)
}

async fn by_customer(headers: HeaderMap) -> Result<String, Problem> {
    match headers
        .get("customer")
        .map(|name| name.to_str().unwrap_or_default())
    {
        None => Err(Problem::unauthorized()),
        Some("mallory") => Err(Problem::forbidden()),
        Some(name) => Ok(name.to_owned()),
    }
}

async fn place(shared: Arc<Shared>, mut tx: Tx, db: Db, plan: Plan) -> Result<Response> {
    shared.runs.fetch_add(1, Ordering::SeqCst);
    sqlx::query("INSERT INTO effects (unit) VALUES (DEFAULT)")
        .execute(&mut tx)
        .await?;
    let counter = Arc::clone(&shared);
    tx.after_commit(move || {
        counter.commits.fetch_add(1, Ordering::SeqCst);
    });
    // `Db` beside `Tx` finds a connection of its own.
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM effects")
        .fetch_one(&db)
        .await?;
    let body = match plan.then {
        Then::Answer => Body::from(format!("{} after {seen}", Uuid::new_v4())),
        Then::Panic => panic!("on purpose"),
        Then::AnswerALot => Body::from(vec![0; 1024 * 1024 + 1]),
        Then::Stream => Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(
            "part",
        )])),
        Then::Wait => {
            shared.gate.notified().await;
            Body::from("let go")
        }
        Then::Disconnect => {
            // The answer to this statement never arrives.
            let _ = sqlx::query("SELECT pg_terminate_backend(pg_backend_pid())")
                .execute(&mut tx)
                .await;
            Body::empty()
        }
        Then::BreakTheCommit => {
            sqlx::query("INSERT INTO late (id) VALUES (1), (1)")
                .execute(&mut tx)
                .await?;
            Body::empty()
        }
        Then::IgnoreAFailure => {
            let _ = sqlx::query("SELECT 1/0").execute(&mut tx).await;
            Body::empty()
        }
    };
    let status = StatusCode::from_u16(plan.status)?;
    let headers = [("location", "/orders/1"), ("set-cookie", "a=b")];
    Ok((status, headers, body).into_response())
}

async fn legacy(
    State(_): State<Context>,
    mut tx: Tx,
    axum::Json(plan): axum::Json<Plan>,
) -> Result<StatusCode> {
    sqlx::query("INSERT INTO effects (unit) VALUES (DEFAULT)")
        .execute(&mut tx)
        .await?;
    Ok(StatusCode::from_u16(plan.status)?)
}

pub(crate) async fn database() -> PgConnectOptions {
    let migrations = Migrations::new(migrations(), None);
    let database = TestDatabase::fresh(&migrations).await.unwrap();
    let options: PgConnectOptions = database.url().parse().unwrap();
    let mut connection: PgConnection = options.connect().await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE effects (unit uuid DEFAULT gen_random_uuid());
         CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    options
}
