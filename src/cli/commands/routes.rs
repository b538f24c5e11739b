//! `routes`: every route of every HTTP process type.

use clap::ArgMatches;
use serde_json::json;
use twelve_core::{Error, Exit};

use crate::cli::{Cli, output};

pub(in crate::cli) fn run(cli: &Cli, matches: &ArgMatches) -> Result<Exit, Error> {
    let routes =
        cli.app.http.iter().flat_map(|(process, router)| {
            router.routes().iter().map(move |route| (process, route))
        });
    if matches.get_flag("json") {
        let routes = routes.map(|(process, route)| {
            json!({
                "process": process,
                "method": route.method(),
                "path": route.path(),
                "handler": route.handler(),
                "arguments": route.needs().iter().map(|argument| argument.name).collect::<Vec<_>>(),
                "idempotent": route.is_idempotent(),
                "opaque": route.is_opaque(),
            })
        });
        output::print_json("routes", routes.collect())?;
    } else {
        let rows: Vec<_> = routes
            .map(|(process, route)| {
                let idempotent = if route.is_idempotent() {
                    "idempotent"
                } else {
                    ""
                };
                [
                    process.clone(),
                    route.method().to_owned(),
                    route.path().to_owned(),
                    route.handler().to_owned(),
                    idempotent.to_owned(),
                ]
            })
            .collect();
        output::print_table(["PROCESS", "METHOD", "PATH", "HANDLER", ""], &rows)?;
    }
    Ok(Exit::Done)
}
