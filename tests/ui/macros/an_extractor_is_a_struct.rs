use twelve::prelude::*;

#[derive(FromContext)]
enum Caller {
    Anyone,
}

fn main() {}
