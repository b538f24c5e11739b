use serde::{Deserialize, Serialize};
use twelve::prelude::*;

#[derive(Serialize, Deserialize, Job)]
struct ChargeOrder {
    order: u64,
}

fn main() {}
