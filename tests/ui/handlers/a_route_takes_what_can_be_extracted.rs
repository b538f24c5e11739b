use twelve::prelude::*;

struct Order;

async fn place(_: Db, _: Json<Order>) {}

fn main() {
    let _ = Router::new().route("/orders", post(place));
}
