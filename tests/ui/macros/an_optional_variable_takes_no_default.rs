use twelve::prelude::*;

#[derive(Config)]
struct Settings {
    #[config(default = 10)]
    page_size: Option<u32>,
}

fn main() {}
