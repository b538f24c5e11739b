//! A forecast and its SQL.

use sqlx::{FromRow, PgExecutor, types};
use twelve::prelude::*;
use uuid::Uuid;

use super::Demand;
use crate::customers::Customer;

/// The longest forecast, in days.
const LONGEST: i32 = 365;

/// A forecast as a customer sees it.
#[derive(Debug, FromRow, Serialize)]
pub struct Forecast {
    /// Its id.
    pub id: Uuid,
    /// Of which product.
    pub sku: String,
    /// For how many days.
    pub days: i32,
    /// `queued`, `running` or `done`.
    pub status: String,
    /// What it says, once it is done.
    pub result: Option<types::Json<Demand>>,
}

/// What a customer wants to know.
#[derive(Debug, Deserialize)]
pub struct NewForecast {
    /// Which product.
    pub sku: String,
    /// How many days, 1 to 365.
    pub days: i32,
}

impl Forecast {
    /// Writes down that somebody wants a forecast.
    pub async fn insert(
        db: impl PgExecutor<'_>,
        customer: Customer,
        new: &NewForecast,
    ) -> Result<Self> {
        if !(1..=LONGEST).contains(&new.days) {
            let problem = Problem::new(422, "invalid-forecast", "That forecast makes no sense");
            return Err(problem.detail(format!("days are 1 to {LONGEST}")).into());
        }
        sqlx::query_as(
            "INSERT INTO forecasts (id, customer_id, sku, days)
             SELECT $1, $2, sku, $4 FROM products WHERE sku = $3
             RETURNING id, sku, days, status, result",
        )
        .bind(Uuid::now_v7())
        .bind(customer.id)
        .bind(&new.sku)
        .bind(new.days)
        .fetch_optional(db)
        .await?
        .ok_or_else(|| Problem::new(422, "unknown-product", "We do not sell that").into())
    }

    /// A customer's own forecast.
    pub async fn find_of(
        db: impl PgExecutor<'_>,
        customer: Customer,
        id: Uuid,
    ) -> Result<Option<Self>, sqlx::Error> {
        sqlx::query_as(
            "SELECT id, sku, days, status, result FROM forecasts
             WHERE id = $1 AND customer_id = $2",
        )
        .bind(id)
        .bind(customer.id)
        .fetch_optional(db)
        .await
    }

    /// Marks a forecast as running; nothing if there is none that is still to be made.
    pub async fn begin(db: impl PgExecutor<'_>, id: Uuid) -> Result<Option<Self>, sqlx::Error> {
        sqlx::query_as(
            "UPDATE forecasts SET status = 'running' WHERE id = $1 AND status <> 'done'
             RETURNING id, sku, days, status, result",
        )
        .bind(id)
        .fetch_optional(db)
        .await
    }

    /// Writes the result down.
    pub async fn finish(
        db: impl PgExecutor<'_>,
        id: Uuid,
        demand: Demand,
    ) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE forecasts SET status = 'done', result = $2 WHERE id = $1")
            .bind(id)
            .bind(types::Json(demand))
            .execute(db)
            .await?;
        Ok(())
    }
}
