use serde::{Deserialize, Serialize};
use std::time::Duration;
use twelve::prelude::*;

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "charge_order", backoff_with = patiently)]
struct ChargeOrder {
    order: u64,
}

fn patiently() -> Duration {
    Duration::from_secs(10)
}

fn main() {}
