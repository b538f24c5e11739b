//! One route and one job in one binary: `hello web` serves, `hello worker` runs the jobs.
use twelve::prelude::*;

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "greet")]
struct Greet(String);

async fn hello(jobs: Jobs, Path(name): Path<String>) -> Result<String> {
    jobs.enqueue(Greet(name.clone())).await?;
    Ok(format!("Hello, {name}. A worker will greet you too.\n"))
}

async fn greet(Greet(name): Greet) {
    println!("Hello, {name}, from the worker.");
}

fn main() -> ExitCode {
    let routes = Router::new().route("/hello/{name}", get(hello));
    App::new("hello").web(routes).job(greet).main()
}
