use serde::{Deserialize, Serialize};
use twelve::prelude::*;

#[derive(Serialize, Deserialize, Job)]
#[job(
    kind = "charge_order",
    kind = "charge",
    aliases("charge_order"),
    queue = "The Bill",
    attempts = 0,
    backoff = "1h",
    max_backoff = "1s",
    fixed_backoff = "1s",
    priority = "urgent",
    on_conflict = "keep",
    keep = "all",
    retries = 1
)]
struct ChargeOrder {
    order: u64,
}

fn main() {}
