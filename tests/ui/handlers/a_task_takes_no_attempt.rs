use twelve::prelude::*;

async fn clean_up(_: Attempt) {}

fn main() {
    let _ = App::new("ui").task("clean-up", clean_up);
}
