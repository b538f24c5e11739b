use serde::{Deserialize, Serialize};
use twelve::prelude::*;

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "Charge Order")]
struct ChargeOrder {
    order: u64,
}

fn main() {}
