//! `dev`: the whole app on a bare machine, and anew with every build.
//!
//! `dev COMMAND` runs one command in the same surroundings: `myapp dev jobs list`.

use clap::ArgMatches;
use std::{env, ffi::OsString, io, net::Ipv4Addr, os::unix::process::CommandExt, process::Command};
use twelve_core::{Environment, Error, Exit};

use super::{
    Cli,
    start::{Supervision, base_port, formation, host},
};
use crate::{
    dev::{Surroundings, dotenv},
    supervisor::{BASE_PORT, Listening, OnCrash, bind, sibling_urls},
};

/// How far apart the base ports are that are tried one after the other.
const BASE_STEP: u16 = 1000;

/// How many base ports are tried: two worktrees side by side take one each.
const BASES: u16 = 10;

pub(super) fn run(cli: &Cli, matches: &ArgMatches) -> Result<Exit, Error> {
    let environment = dotenv::load(&cli.environment)?;
    let formation = formation(cli, matches)?;
    let mut surroundings = Surroundings::attach(&cli.app.name, environment, wants_redis(cli))?;
    if let Some(words) = matches.get_many::<OsString>("command") {
        surroundings.join()?;
        return become_command(surroundings.environment(), words);
    }
    let environment = surroundings.environment().clone();
    let host = host(&environment)?.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let named = base_port(matches, &environment)?;
    let slots = bind_somewhere(named, |base| {
        let slots = formation.slots(&cli.processes, base)?;
        Ok(bind(slots, host))
    })?;
    // Nobody balances load here, so nobody has to notice that a process stops.
    surroundings.set_default("TWELVE_ANNOUNCE", "0s");
    surroundings.set_default("HOST", &host.to_string());
    for (name, url) in sibling_urls(slots.iter().map(|(slot, _)| slot)) {
        surroundings.set_default(&name, &url);
    }
    let only_one = surroundings.publish()?;
    if matches.get_flag("fresh") {
        surroundings.empty()?;
    }
    let supervision = Supervision {
        name: "dev",
        welcome: welcome(&slots),
        environment: surroundings.environment().clone(),
        slots,
        on_crash: match matches.get_flag("exit-on-crash") {
            true => OnCrash::End,
            false => OnCrash::Restart,
        },
        follow_binary: true,
    };
    let exit = supervision.run(cli);
    drop(only_one);
    surroundings.leave()?;
    exit
}

/// Does any process type read `REDIS_URL`?
fn wants_redis(cli: &Cli) -> bool {
    cli.processes.iter().any(|process| {
        let variables = cli.app.variables(process, &cli.environment);
        variables
            .iter()
            .any(|variable| variable.name == "REDIS_URL")
    })
}

/// Binds the ports from the base port on that somebody named, else from the first of some base ports where all are free.
fn bind_somewhere(
    named: Option<u16>,
    bind: impl Fn(u16) -> Result<Result<Vec<Listening>, (std::net::SocketAddr, io::Error)>, Error>,
) -> Result<Vec<Listening>, Error> {
    let bases = match named {
        Some(base) => vec![base],
        None => (0..BASES)
            .map(|step| BASE_PORT + step * BASE_STEP)
            .collect(),
    };
    let mut refused = Error::usage("there is no base port");
    for base in bases {
        match bind(base)? {
            Ok(slots) => return Ok(slots),
            Err((address, error)) if error.kind() == io::ErrorKind::AddrInUse => {
                refused = Error::internal(format!(
                    "{address} is in use; name another base with --port"
                ))
                .because(error);
            }
            Err((address, error)) => {
                let message = format!("{address} cannot be listened on");
                return Err(Error::configuration(message).because(error));
            }
        }
    }
    Err(refused)
}

/// Where everything is.
fn welcome(slots: &[Listening]) -> Vec<String> {
    let listening = slots.iter().filter(|(slot, _)| slot.listens);
    listening
        .map(|(slot, _)| format!("{}  http://localhost:{}", slot.name, slot.port))
        .collect()
}

/// Becomes this binary with other words: the private servers see the same process, and stay for it.
fn become_command<'w>(
    environment: &Environment,
    words: impl Iterator<Item = &'w OsString>,
) -> Result<Exit, Error> {
    let lost = |error| Error::internal("this binary cannot be found").because(error);
    let binary = env::current_exe().map_err(lost)?;
    let error = Command::new(binary)
        .args(words)
        .env_clear()
        .envs(environment.iter())
        .exec();
    Err(Error::internal("the command cannot be run").because(error))
}
