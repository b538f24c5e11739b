use twelve::prelude::*;

struct Client;

async fn connect() -> Client {
    Client
}

fn main() {
    let _ = App::new("ui").resource(connect);
}
