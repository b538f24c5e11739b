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
use twelve_web::{bad_port_warning, is_bad_port};

use super::{
    Cli,
    start::{Supervision, base_port, binary, formation, host, on_crash, printer, refused},
};
use crate::{
    dev::{Inbox, Surroundings, dotenv},
    supervisor::{BASE_PORT, Formation, Listening, OnCrash, Ports, bind, sibling_urls},
};

/// How far apart the base ports are that are tried one after the other.
const BASE_STEP: u16 = 1000;

/// How many base ports are tried: two worktrees side by side take one each.
const BASES: usize = 10;

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
    let named = base_port(matches, surroundings.environment())?;
    let (slots, base) = bind_somewhere(cli, &formation, host, named)?;
    if let Some(named) = named.filter(|named| *named != base) {
        let why = bad_port_warning(named);
        printer.say("dev", &format!("{why}; the base port is {base} instead"));
    }
    let page = Ports::new(base, cli.processes.len()).and_then(Ports::after_all);
    let page = page.unwrap_or(0);
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

/// The base ports that are tried: the one that somebody named, but none that browsers refuse.
fn bases(named: Option<u16>) -> Vec<u16> {
    if let Some(named) = named.filter(|named| !is_bad_port(*named)) {
        return vec![named];
    }
    let first = named.unwrap_or(BASE_PORT);
    let bases = (first..=u16::MAX).step_by(BASE_STEP.into());
    let bases = bases.filter(|base| !is_bad_port(*base));
    bases.take(BASES).collect()
}

/// Binds the ports of the first base port from which on all of them are free.
fn bind_somewhere(
    cli: &Cli,
    formation: &Formation,
    host: IpAddr,
    named: Option<u16>,
) -> Result<(Vec<Listening>, u16), Error> {
    let mut in_use = None;
    for base in bases(named) {
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
    Err(Error::internal("the command cannot be run").with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_base_port_is_tried_that_browsers_refuse() {
        // Not 6000, which is X11's.
        assert_eq!(bases(None)[..3], [5000, 7000, 8000]);
        assert_eq!(bases(Some(4000)), [4000]);
        assert_eq!(bases(Some(6000))[..2], [7000, 8000]);
        for named in 1..=u16::MAX {
            let bases = bases(Some(named));
            assert!(!bases.is_empty(), "{named}");
            assert!(bases.iter().all(|base| !is_bad_port(*base)), "{named}");
        }
    }
}
