//! The job that charges an order.

use twelve::prelude::*;
use uuid::Uuid;

use super::{Order, Receipt};
use crate::{live, payments::Payments};

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

/// Charges an order, marks it paid and writes the receipt, in the same commit that completes the job.
///
/// The provider is outside our database, so its step is remembered: a later attempt finds the charge instead of making another.
/// Should the worker die between the charge and its record, the next attempt sends the same key, and the provider answers with the same charge.
/// An order that has expired is not charged; but an attempt before may have done so and died, and that only the provider knows.
pub async fn charge_order(
    job: ChargeOrder,
    db: Db,
    mut tx: Tx,
    steps: Steps,
    payments: Res<Payments>,
    mailer: Mailer,
    redis: Redis,
) -> Result<Outcome> {
    let Some(order) = Order::find(&db, job.order).await? else {
        return Ok(Outcome::discard("the order does not exist"));
    };
    let charge = if order.has_expired() {
        let Some(charge) = payments.charge_of(order.id).await? else {
            return Ok(Outcome::discard("the order has expired"));
        };
        charge
    } else {
        let charge = |key| payments.charge(key, order.id, order.total_cents);
        steps.once("charge", charge).await?
    };
    let order = Order::mark_paid(&mut tx, order.id, charge).await?;
    mailer
        .deliver_in(&mut tx, Receipt::of(&db, order.id).await?)
        .await?;
    live::publish(&mut tx, redis, &order)?;
    Ok(Outcome::done())
}
