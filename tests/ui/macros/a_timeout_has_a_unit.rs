use serde::{Deserialize, Serialize};
use twelve::prelude::*;

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "charge_order", timeout = "30")]
struct ChargeOrder {
    order: u64,
}

fn main() {}
