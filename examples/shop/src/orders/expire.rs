//! The schedule that gives up orders which nobody has paid.

use twelve::prelude::*;

use super::Order;
use crate::{live, schedule_runs};

/// Every minute: orders that have waited for half an hour are not charged any more.
pub async fn expire_unpaid(tick: Tick, mut tx: Tx, redis: Redis) -> Result<()> {
    schedule_runs::record(&mut tx, &tick).await?;
    for order in Order::expire(&mut tx).await? {
        live::publish(&mut tx, redis.clone(), &order)?;
    }
    Ok(())
}
