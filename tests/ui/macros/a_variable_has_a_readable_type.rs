use twelve::prelude::*;

struct Currency;

#[derive(Config)]
struct Settings {
    currency: Currency,
}

fn main() {}
