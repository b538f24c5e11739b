use twelve::prelude::*;

struct Greet;

async fn greet(_: Greet, _: Db) {}

fn main() {
    let _ = App::new("ui").job(greet);
}
