use twelve::prelude::*;

#[derive(Config)]
struct Settings {
    payments_url: String,
    #[config(env = "PAYMENTS_URL")]
    refunds_url: String,
}

fn main() {}
