use twelve::prelude::*;

#[derive(Config)]
struct Payments {
    payments_url: String,
}

#[derive(Config)]
struct Settings {
    #[config(nested, env = "PAYMENTS")]
    payments: Payments,
}

fn main() {}
