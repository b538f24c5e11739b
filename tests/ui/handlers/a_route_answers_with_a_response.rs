use twelve::prelude::*;

struct Order;

async fn show() -> Order {
    Order
}

fn main() {
    let _ = Router::new().route("/orders", get(show));
}
