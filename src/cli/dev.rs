//! `dev`: the whole app on a bare machine, and anew with every build.
//!
//! `dev COMMAND` runs one command in the same surroundings: `myapp dev jobs list`.

use clap::ArgMatches;
use std::{
    ffi::OsString,
    io,
    net::{IpAddr, Ipv4Addr},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::Command,
    time::Instant,
};
use twelve_core::{Environment, Error, Exit};

use super::{
    Cli,
    start::{Supervision, base_port, binary, formation, host, on_crash, printer, refused},
};
use crate::{
    dev::{Inbox, Surroundings, dotenv},
    supervisor::{BASE_PORT, Formation, Listening, OnCrash, bind, port, sibling_urls},
};

/// How far apart the base ports are that are tried one after the other.
const BASE_STEP: u16 = 1000;

/// How many base ports are tried: two worktrees side by side take one each.
const BASES: u16 = 10;

pub(super) fn run(cli: &Cli, matches: &ArgMatches) -> Result<Exit, Error> {
    let begun = Instant::now();
    let binary = binary()?;
    let environment = dotenv::load(&cli.environment)?;
    let attach = || Surroundings::attach(&cli.app.name, environment, wants_redis(cli));
    if let Some(words) = matches.get_many::<OsString>("command") {
        let mut surroundings = attach()?;
        surroundings.join()?;
        return become_command(binary, surroundings.environment(), words);
    }
    let formation = formation(cli, matches)?;
    let printer = printer(cli, "dev", &formation);
    printer.say("dev", "starting");
    let mut surroundings = attach()?;
    let host = host(surroundings.environment())?.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let base = base_port(matches, surroundings.environment())?;
    let (slots, base) = bind_somewhere(cli, &formation, host, base)?;
    // The page comes after the process types.
    let page = port(base, cli.processes.len(), 0).unwrap_or(0);
    let inbox = Inbox::open(&cli.app, &mut surroundings, page, &binary)?;
    // No balancer has to notice that a process stops, but clients with open connections do.
    surroundings.set_default("TWELVE_ANNOUNCE", "1s");
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
        begun,
        binary,
        printer,
        environment: surroundings.environment().clone(),
        welcome: welcome(&slots, inbox.as_ref(), &surroundings),
        slots,
        on_crash: on_crash(matches, OnCrash::Restart),
        follow_binary: true,
        beside: inbox.map(|inbox| inbox.serve),
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
    cli: &Cli,
    formation: &Formation,
    host: IpAddr,
    named: Option<u16>,
) -> Result<(Vec<Listening>, u16), Error> {
    let steps = if named.is_some() { 0..1 } else { 0..BASES };
    let mut in_use = None;
    for step in steps {
        let base = named.unwrap_or(BASE_PORT + step * BASE_STEP);
        match bind(formation.slots(&cli.processes, base)?, host) {
            Ok(slots) => return Ok((slots, base)),
            Err((address, error)) if error.kind() == io::ErrorKind::AddrInUse => {
                in_use.get_or_insert(refused(address, error));
            }
            Err((address, error)) => return Err(refused(address, error)),
        }
    }
    Err(in_use.unwrap_or_else(|| Error::internal("no port was tried")))
}

/// Where everything is.
fn welcome(slots: &[Listening], inbox: Option<&Inbox>, surroundings: &Surroundings) -> Vec<String> {
    let listening = slots.iter().filter(|(slot, _)| slot.listens);
    let listening = listening.map(|(slot, _)| {
        let url = format!("http://localhost:{}", slot.port);
        (slot.name.as_str(), url)
    });
    let inbox = inbox.map(|inbox| ("mails", inbox.url.clone()));
    let private = surroundings.private_urls();
    let places: Vec<_> = listening.chain(inbox).chain(private).collect();
    let widths = places.iter().map(|(name, _)| name.len());
    let width = widths.max().unwrap_or_default();
    let line = |(name, place): &(&str, String)| format!("{name:width$}  {place}");
    places.iter().map(line).collect()
}

/// Becomes this binary with other words: to the private servers it is the same process, so they stay for it.
fn become_command<'w>(
    binary: PathBuf,
    environment: &Environment,
    words: impl Iterator<Item = &'w OsString>,
) -> Result<Exit, Error> {
    let error = Command::new(binary)
        .args(words)
        .env_clear()
        .envs(environment.iter())
        .exec();
    Err(Error::internal("the command cannot be run").because(error))
}
