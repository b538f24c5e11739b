use twelve::axum::http::HeaderMap;
use twelve::prelude::*;

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "greet")]
struct Greet;

async fn greet(_: Greet, _: HeaderMap) {}

fn main() {
    let _ = App::new("ui").job(greet);
}
