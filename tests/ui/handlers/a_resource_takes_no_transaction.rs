use twelve::prelude::*;

struct Client;

async fn connect(_: Tx) -> Result<Client> {
    Ok(Client)
}

fn main() {
    let _ = App::new("ui").resource(connect);
}
