use twelve::prelude::*;

async fn by_body(_: Json<String>) -> &'static str {
    "everyone"
}

async fn place() {}

fn main() {
    let once = Idempotency::required(by_body);
    let _ = Router::new().route("/orders", post(place.idempotent(once)));
}
