//! `config`: every variable, where it comes from, who asks for it, and what is wrong with it.

use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use twelve_core::{Error, Exit, Variable};

use crate::cli::{
    command::Command,
    invocation::Invocation,
    output::{self, Format},
};

/// List every variable, its source and what is wrong with it.
#[derive(Args)]
pub(super) struct Config {
    #[command(flatten)]
    format: Format,
}

impl Command for Config {
    const NAME: &'static str = "config";

    fn run(self, invocation: &Invocation) -> Result<Exit, Error> {
        let variables = variables(invocation);
        if self.format.json {
            output::print_json("variables", variables.values().map(document).collect())?;
        } else {
            let rows: Vec<_> = variables.values().map(row).collect();
            output::print_table(["VARIABLE", "VALUE", "SOURCE", "ASKED FOR BY", ""], &rows)?;
        }
        let wrong = variables
            .values()
            .any(|(variable, _)| variable.fault.is_some());
        Ok(if wrong {
            Exit::Configuration
        } else {
            Exit::Done
        })
    }
}

type Asked = (Variable, Vec<String>);

/// Every variable with all who ask for it: process types, and tasks as `run NAME`.
fn variables(invocation: &Invocation) -> BTreeMap<&'static str, Asked> {
    let Invocation {
        app,
        process_types,
        environment,
    } = invocation;
    let processes = process_types.iter().map(|process| {
        let variables = app.variables(process, environment);
        (process.name().to_owned(), variables)
    });
    let tasks = app.tasks.iter().map(|task| {
        let process = task.process(Vec::new());
        let variables = app.variables(&process, environment);
        (format!("run {}", task.name), variables)
    });
    let mut all: BTreeMap<&'static str, Asked> = BTreeMap::new();
    for (who, variables) in processes.chain(tasks) {
        for variable in variables {
            let (known, asked_by) = all
                .entry(variable.name)
                .or_insert_with(|| (variable.clone(), Vec::new()));
            // Two may read it in two forms: the one that is wrong must show.
            if known.fault.is_none() {
                *known = variable;
            }
            if !asked_by.contains(&who) {
                asked_by.push(who.clone());
            }
        }
    }
    all
}

fn row((variable, asked_by): &Asked) -> [String; 5] {
    let fault = variable.fault.as_ref();
    let fault = fault.map(|fault| format!("WRONG: {fault}"));
    [
        variable.name.to_owned(),
        variable.shown.clone().unwrap_or_default(),
        variable.origin.to_string(),
        asked_by.join(" "),
        fault.unwrap_or_default(),
    ]
}

fn document((variable, asked_by): &Asked) -> Value {
    json!({
        "name": variable.name,
        "value": variable.shown,
        "source": variable.origin.to_string(),
        "expected": variable.expected,
        "purpose": variable.purpose,
        "asked_by": asked_by,
        "fault": variable.fault,
    })
}
