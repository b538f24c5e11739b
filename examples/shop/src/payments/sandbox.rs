//! A sandbox of the payment provider: an idempotent API, built with twelve like the rest.
//!
//! It misbehaves on request, and honestly: a failure comes before or after the charge is stored, as it would in real life.

use sqlx::FromRow;
use std::time::Duration;
use tokio::time::sleep;
use twelve::axum::{extract::Request, http::HeaderMap, response::Response};
use twelve::web::Next;
use twelve::{Value, prelude::*};
use uuid::Uuid;

use crate::customers::bearer;

/// How the sandbox behaves.
#[derive(Config)]
pub(super) struct SandboxSettings {
    /// Our key to the payment provider.
    #[config(env = "PAYMENTS_KEY")]
    key: Secret<String>,
    /// The share of requests to the sandbox that fail, from 0 to 1.
    #[config(env = "PAYMENTS_FAIL_RATE", default = 0.0)]
    fail_rate: Share,
    /// How long the sandbox takes for a request, in milliseconds.
    #[config(env = "PAYMENTS_LATENCY_MS", default = 0)]
    latency_ms: u64,
}

/// A number from 0 to 1.
struct Share(f64);

impl Value for Share {
    const EXPECTED: &'static str = "a number from 0 to 1";

    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(Self(share)),
            _ => Err("not such a number".into()),
        }
    }
}

/// The provider's API.
pub(super) fn routes() -> Router {
    let once = Idempotency::required(by_merchant);
    Router::new()
        .route("/charges", get(list).post(charge.idempotent(once)))
        .middleware(misbehave)
}

/// Who is asking: this sandbox knows one merchant.
async fn by_merchant(settings: Conf<SandboxSettings>, headers: HeaderMap) -> Result<&'static str> {
    match bearer(&headers) {
        Some(key) if settings.key.matches(key) => Ok("merchant"),
        _ => Err(Problem::unauthorized().into()),
    }
}

/// Takes its time before anything has begun, and fails before or after everything is done.
async fn misbehave(settings: Conf<SandboxSettings>, request: Request, next: Next) -> Response {
    sleep(Duration::from_millis(settings.latency_ms)).await;
    let fails = fastrand::f64() < settings.fail_rate.0;
    if fails && fastrand::bool() {
        return failure().into_response();
    }
    let response = next.run(request).await;
    if fails {
        return failure().into_response();
    }
    response
}

fn failure() -> Problem {
    Problem::internal().detail("the sandbox fails as often as PAYMENTS_FAIL_RATE says")
}

#[derive(Deserialize)]
struct NewCharge {
    order: Uuid,
    amount_cents: i64,
}

#[derive(FromRow, Serialize)]
struct Charge {
    id: Uuid,
    #[sqlx(rename = "order_id")]
    order: Uuid,
    amount_cents: i64,
}

#[derive(Serialize)]
struct Charges {
    charges: Vec<Charge>,
}

async fn charge(mut tx: Tx, Json(new): Json<NewCharge>) -> Result<impl IntoResponse> {
    if new.amount_cents <= 0 {
        let problem = Problem::new(422, "invalid-amount", "An amount is more than nothing");
        return Err(problem.into());
    }
    let charge: Charge = sqlx::query_as(
        "INSERT INTO payments.charges (id, order_id, amount_cents) VALUES ($1, $2, $3)
         RETURNING id, order_id, amount_cents",
    )
    .bind(Uuid::now_v7())
    .bind(new.order)
    .bind(new.amount_cents)
    .fetch_one(&mut tx)
    .await?;
    Ok((StatusCode::CREATED, Json(charge)))
}

#[derive(Deserialize)]
struct Filter {
    order: Uuid,
}

async fn list(
    settings: Conf<SandboxSettings>,
    headers: HeaderMap,
    db: Db,
    Query(filter): Query<Filter>,
) -> Result<Json<Charges>> {
    by_merchant(settings, headers).await?;
    let charges = sqlx::query_as(
        "SELECT id, order_id, amount_cents FROM payments.charges WHERE order_id = $1 ORDER BY id",
    )
    .bind(filter.order)
    .fetch_all(&db)
    .await?;
    Ok(Json(Charges { charges }))
}
