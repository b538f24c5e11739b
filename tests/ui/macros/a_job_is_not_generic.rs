use serde::{Deserialize, Serialize};
use twelve::prelude::*;

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "charge")]
struct Charge<T> {
    subject: T,
}

fn main() {}
