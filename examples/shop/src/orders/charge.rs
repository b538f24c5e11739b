//! The job that charges an order.

use twelve::prelude::*;
use uuid::Uuid;

use super::Order;
use crate::payments::Payments;

/// Charge this order.
///
/// A hundred attempts, ten seconds apart at the most: a provider that is down for a quarter of an hour costs no order.
#[derive(Debug, Serialize, Deserialize, Job)]
#[job(
    kind = "charge_order",
    queue = "default",
    attempts = 100,
    timeout = "30s",
    max_backoff = "10s"
)]
pub struct ChargeOrder {
    /// Which one.
    pub order: Uuid,
}

/// Charges an order, and marks it paid in the same commit that completes the job.
///
/// The provider is outside our database, so its step is remembered: a later attempt finds the charge instead of making another.
/// Should the worker die between the charge and its record, the next attempt sends the same key, and the provider answers with the same charge.
pub async fn charge_order(
    job: ChargeOrder,
    db: Db,
    mut tx: Tx,
    steps: Steps,
    payments: Res<Payments>,
) -> Result<Outcome> {
    let Some(order) = Order::find(&db, job.order).await? else {
        return Ok(Outcome::discard("the order does not exist"));
    };
    let charge = steps
        .once("charge", |key| {
            payments.charge(key, order.id, order.total_cents)
        })
        .await?;
    Order::mark_paid(&mut tx, order.id, charge).await?;
    Ok(Outcome::done())
}
