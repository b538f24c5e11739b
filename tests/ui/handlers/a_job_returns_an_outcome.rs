use twelve::prelude::*;

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "greet")]
struct Greet;

async fn greet(_: Greet) -> u64 {
    7
}

fn main() {
    let _ = App::new("ui").job(greet);
}
