#[twelve::test("shop")]
async fn orders_are_listed() {}

fn main() {}
