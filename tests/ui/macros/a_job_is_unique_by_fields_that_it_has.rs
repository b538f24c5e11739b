use serde::{Deserialize, Serialize};
use twelve::prelude::*;

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "charge_order", unique("order", "sku"))]
struct ChargeOrder {
    order: u64,
}

fn main() {}
