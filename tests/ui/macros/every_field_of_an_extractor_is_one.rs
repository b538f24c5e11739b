use twelve::prelude::*;

#[derive(FromContext)]
struct Caller {
    name: String,
}

async fn greet(caller: Caller) -> String {
    caller.name
}

fn routes() -> Router {
    Router::new().route("/", get(greet))
}

fn main() {
    routes();
}
