use std::rc::Rc;
use twelve::prelude::*;

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "greet")]
struct Greet;

async fn greet(_: Greet) {
    let count = Rc::new(1);
    std::future::ready(()).await;
    drop(count);
}

fn main() {
    let _ = App::new("ui").job(greet);
}
