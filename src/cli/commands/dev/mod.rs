//! `dev`: the whole app on a bare machine, and anew with every build.
//!
//! `dev COMMAND` runs one command in the same environment: `myapp dev jobs list`.

mod inbox;

use clap::Args;
use std::{
    ffi::OsString,
    io,
    net::{IpAddr, Ipv4Addr},
    os::unix::process::CommandExt,
    path::PathBuf,
    process,
    time::Instant,
};
use twelve_core::{Environment, Error, Exit, ProcessType};
use twelve_dev::{
    dotenv,
    environment::DevEnvironment,
    supervisor::{BASE_PORT, Formation, Listening, OnCrash, Ports, bind, sibling_urls},
};
use twelve_web::{bad_port_warning, is_bad_port};

use self::inbox::Inbox;
use crate::cli::{
    command::Command,
    invocation::Invocation,
    supervision::{FormationArgs, Supervision, binary, host, printer, refused},
};

/// How far apart the base ports are that are tried one after the other.
const BASE_STEP: u16 = 1000;

/// How many base ports are tried: two worktrees side by side take one each.
const BASES: usize = 10;

/// Run everything here, with private servers, anew with each build.
#[derive(Args)]
pub(super) struct Dev {
    #[command(flatten)]
    formation: FormationArgs,
    /// Begin with empty private servers.
    #[arg(long)]
    fresh: bool,
    /// Run this command in the environment of `dev`, such as: dev jobs list.
    #[arg(value_name = "COMMAND", num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl Command for Dev {
    const NAME: &'static str = "dev";

    fn run(self, invocation: &Invocation) -> Result<Exit, Error> {
        let begun = Instant::now();
        let binary = binary()?;
        let variables = dotenv::load(&invocation.environment)?;
        let attach =
            || DevEnvironment::attach(&invocation.app.name, variables, wants_redis(invocation));
        if !self.command.is_empty() {
            let mut environment = attach()?;
            environment.join()?;
            return become_command(binary, environment.variables(), &self.command);
        }
        let formation = self.formation.formation(&invocation.process_types)?;
        let printer = printer(invocation, "dev", &formation);
        printer.say("dev", "starting");
        let mut environment = attach()?;
        let host = host(environment.variables())?.unwrap_or(Ipv4Addr::LOCALHOST.into());
        let named = self.formation.base_port(environment.variables())?;
        let (slots, base) = bind_somewhere(&invocation.process_types, &formation, host, named)?;
        if let Some(named) = named.filter(|named| *named != base) {
            let why = bad_port_warning(named);
            printer.say("dev", &format!("{why}; the base port is {base} instead"));
        }
        let page = Ports::new(base, invocation.process_types.len()).and_then(Ports::after_all);
        let page = page.unwrap_or(0);
        let inbox = Inbox::open(&invocation.app, &mut environment, page, &binary)?;
        // No balancer has to notice that a process stops, but clients with open connections do.
        environment.set_default("TWELVE_ANNOUNCE", "1s");
        environment.set_default("HOST", &host.to_string());
        for (name, url) in sibling_urls(slots.iter().map(|(slot, _)| slot)) {
            environment.set_default(&name, &url);
        }
        let lock = environment.publish()?;
        if self.fresh {
            environment.empty()?;
        }
        let supervision = Supervision {
            name: "dev",
            begun,
            binary,
            printer,
            environment: environment.variables().clone(),
            welcome: welcome(&slots, inbox.as_ref(), &environment),
            slots,
            on_crash: self.formation.on_crash(OnCrash::Restart),
            follow_binary: true,
            beside: inbox.map(|inbox| inbox.serve),
        };
        let exit = supervision.run(invocation);
        drop(lock);
        environment.detach()?;
        exit
    }
}

/// Does any process type read `REDIS_URL`?
fn wants_redis(invocation: &Invocation) -> bool {
    invocation.process_types.iter().any(|process| {
        let variables = invocation.app.variables(process, &invocation.environment);
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
    types: &[ProcessType],
    formation: &Formation,
    host: IpAddr,
    named: Option<u16>,
) -> Result<(Vec<Listening>, u16), Error> {
    let mut in_use = None;
    for base in bases(named) {
        match bind(formation.slots(types, base)?, host) {
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
fn welcome(
    slots: &[Listening],
    inbox: Option<&Inbox>,
    environment: &DevEnvironment,
) -> Vec<String> {
    let listening = slots.iter().filter(|(slot, _)| slot.listens);
    let listening = listening.map(|(slot, _)| {
        let url = format!("http://localhost:{}", slot.port);
        (slot.name.as_str(), url)
    });
    let inbox = inbox.map(|inbox| ("mails", inbox.url.clone()));
    let private = environment.private_urls();
    let places: Vec<_> = listening.chain(inbox).chain(private).collect();
    let widths = places.iter().map(|(name, _)| name.len());
    let width = widths.max().unwrap_or_default();
    let line = |(name, place): &(&str, String)| format!("{name:width$}  {place}");
    places.iter().map(line).collect()
}

/// Becomes this binary with other arguments: to the private servers it is the same process, so they stay for it.
fn become_command(
    binary: PathBuf,
    variables: &Environment,
    arguments: &[OsString],
) -> Result<Exit, Error> {
    let error = process::Command::new(binary)
        .args(arguments)
        .env_clear()
        .envs(variables.iter())
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
