//! `routes`: every route of every HTTP process type.

use clap::Args;
use serde_json::{Value, json};
use twelve_core::{Error, Exit};
use twelve_web::Route;

use crate::cli::{
    command::Command,
    invocation::Invocation,
    output::{self, Format},
};

/// List the routes of every HTTP process type.
#[derive(Args)]
pub(super) struct Routes {
    #[command(flatten)]
    format: Format,
}

impl Command for Routes {
    const NAME: &'static str = "routes";

    fn run(self, invocation: &Invocation) -> Result<Exit, Error> {
        let http = invocation.app.http.iter();
        let routes = http.flat_map(|(process, router)| {
            router.routes().iter().map(move |route| (process, route))
        });
        if self.format.json {
            let routes = routes.map(|(process, route)| document(process, route));
            output::print_json("routes", routes.collect())?;
        } else {
            let rows: Vec<_> = routes.map(|(process, route)| row(process, route)).collect();
            output::print_table(["PROCESS", "METHOD", "PATH", "HANDLER", ""], &rows)?;
        }
        Ok(Exit::Done)
    }
}

fn row(process: &str, route: &Route) -> [String; 5] {
    let idempotent = if route.is_idempotent() {
        "idempotent"
    } else {
        ""
    };
    [
        process,
        route.method(),
        route.path(),
        route.handler(),
        idempotent,
    ]
    .map(str::to_owned)
}

fn document(process: &str, route: &Route) -> Value {
    json!({
        "process": process,
        "method": route.method(),
        "path": route.path(),
        "handler": route.handler(),
        "arguments": route.needs().iter().map(|argument| argument.name).collect::<Vec<_>>(),
        "idempotent": route.is_idempotent(),
        "opaque": route.is_opaque(),
    })
}
