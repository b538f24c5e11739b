use twelve::web::ws::WebSocketUpgrade;

fn main() {}
