#[twelve::test]
fn orders_are_listed() {}

fn main() {}
