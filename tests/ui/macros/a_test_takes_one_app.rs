#[twelve::test]
async fn orders_are_listed(_app: twelve::TestApp, _other: twelve::TestApp) {}

fn main() {}
