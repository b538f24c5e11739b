use twelve::prelude::*;

struct Receipt {
    email: String,
}

async fn order(mailer: Mailer) -> Result<()> {
    mailer.deliver(Receipt { email: String::new() }).await?;
    Ok(())
}

fn main() {
    App::new("shop").web(Router::new().route("/", post(order)));
}
