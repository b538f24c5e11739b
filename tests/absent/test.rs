#[twelve::test]
async fn an_order_is_charged(app: twelve::test::TestApp) {}

fn main() {}
