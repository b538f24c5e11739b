use twelve::prelude::*;

#[derive(Config)]
struct Settings {
    #[config(name = "PAYMENTS_URL")]
    payments_url: String,
}

fn main() {}
