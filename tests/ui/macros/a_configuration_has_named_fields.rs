use twelve::prelude::*;

#[derive(Config)]
struct Settings(String);

fn main() {}
