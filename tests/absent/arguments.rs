use twelve::prelude::*;

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "count")]
struct Count;

async fn visit(_: Db, _: Mailer) -> Result<()> {
    Ok(())
}

async fn count(_: Count, _: Redis) -> Result<()> {
    Ok(())
}

fn main() -> ExitCode {
    let routes = Router::new().route("/", post(visit));
    App::new("visits").web(routes).job(count).main()
}
