use twelve::prelude::*;

#[derive(Config)]
struct Settings {
    #[config(env = "payments-url")]
    payments_url: String,
}

fn main() {}
