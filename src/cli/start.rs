//! `start`: a whole formation on this host, under one supervisor.

use clap::ArgMatches;
use futures_util::future::BoxFuture;
use std::{
    env, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use twelve_core::{
    Budget, Config, Context, Environment, Error, Exit, Faults, Identity, Lifecycle, Needs,
    ProcessKind, ProcessType, Reader, Variable,
};
use twelve_web::{bad_port_warning, is_bad_port};

use super::Cli;
use crate::{
    dev::dotenv,
    supervisor::{
        BASE_PORT, Formation, Launch, Listening, OnCrash, Plan, Printer, bind, sibling_urls,
    },
};

/// How much longer than its children a supervisor may take: they are killed first.
const MARGIN: Duration = Duration::from_secs(3);

/// How long the last lines may take: nobody may be reading.
const LAST_LINES: Duration = Duration::from_millis(500);

const ANNOUNCE: &str = "TWELVE_ANNOUNCE";

pub(super) fn run(cli: &Cli, matches: &ArgMatches) -> Result<Exit, Error> {
    let begun = Instant::now();
    let binary = binary()?;
    let environment = dotenv::load(&cli.environment)?;
    let formation = formation(cli, matches)?;
    let base = base_port(matches, &environment)?.unwrap_or(BASE_PORT);
    let host = host(&environment)?.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let slots = formation.slots(&cli.processes, base)?;
    let slots = bind(slots, host).map_err(|(address, error)| refused(address, error))?;
    let printer = printer(cli, "start", &formation);
    // Only the base port itself, which somebody has named.
    let bad = slots.iter().map(|(slot, _)| slot);
    let mut bad = bad.filter(|slot| slot.listens && is_bad_port(slot.port));
    if let Some(slot) = bad.next() {
        let why = bad_port_warning(slot.port);
        let keeps = format!("{why}; {} keeps it, because it was named", slot.name);
        printer.say("start", &keeps);
    }
    let siblings = sibling_urls(slots.iter().map(|(slot, _)| slot));
    let environment = siblings.fold(environment, |environment, (name, url)| {
        if environment.is_set(&name) {
            environment
        } else {
            environment.with(name, url)
        }
    });
    let supervision = Supervision {
        name: "start",
        begun,
        binary,
        printer,
        environment,
        slots,
        on_crash: on_crash(matches, OnCrash::RestartOrEnd),
        follow_binary: false,
        welcome: Vec::new(),
        beside: None,
    };
    supervision.run(cli)
}

/// What `start` and `dev` have in common: from here on both supervise.
pub(super) struct Supervision {
    pub(super) name: &'static str,
    pub(super) begun: Instant,
    pub(super) binary: PathBuf,
    pub(super) printer: Printer,
    /// The variables of every child.
    pub(super) environment: Environment,
    pub(super) slots: Vec<Listening>,
    pub(super) on_crash: OnCrash,
    pub(super) follow_binary: bool,
    pub(super) welcome: Vec<String>,
    /// What runs in the supervisor itself until the last process has ended.
    pub(super) beside: Option<BoxFuture<'static, ()>>,
}

impl Supervision {
    /// Checks the variables of all processes at once, then runs them until told to stop.
    pub(super) fn run(mut self, cli: &Cli) -> Result<Exit, Error> {
        if let Some(faults) = Faults::among(self.variables(cli)) {
            let message = format!("`{}` cannot start", self.name);
            return Err(Error::configuration(message).with_source(faults));
        }
        let budget = Budget::load(&mut Reader::new(&self.environment)).unwrap_or_default();
        if !self.environment.is_set(ANNOUNCE) {
            // What is right at our terminal the children, who have none, cannot know.
            let announce = format!("{}ms", budget.announce.as_millis());
            self.environment = self.environment.with(ANNOUNCE, announce);
        }
        let name = self.name;
        // Its probes answer beside those of its children.
        let context = Context::new(
            Identity::new(cli.app.name.as_str(), name),
            self.environment.clone(),
            Lifecycle::default(),
            cli.app.registry.clone(),
        );
        let printer = self.printer.clone();
        let beside = self.beside.take();
        let work = Mutex::new(Some((self.plan(cli, budget.total), beside)));
        let supervise = move |context: Context| {
            // One process is run once.
            let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
            async move {
                let Some((plan, beside)) = work else {
                    return Ok(Exit::Done);
                };
                beside.map(tokio::spawn);
                Ok(plan.run(context.lifecycle().clone()).await?)
            }
        };
        let process = ProcessType::new(name, ProcessKind::Custom, Needs::default(), supervise);
        let exit = process.run(&context, budget.longer_by(MARGIN));
        printer.finish(LAST_LINES);
        exit.map_err(|failure| failure.into_error(format!("`{name}` failed")))
    }

    fn variables(&self, cli: &Cli) -> Vec<Variable> {
        let runs = |process: &&ProcessType| {
            let name = process.name();
            self.slots.iter().any(|(slot, _)| slot.process_type == name)
        };
        let mut all: Vec<Variable> = Vec::new();
        for process in cli.processes.iter().filter(runs) {
            for variable in cli.app.variables(process, &self.environment) {
                // Every process type reads some of them: one line each.
                let known =
                    |other: &Variable| other.name == variable.name && other.fault == variable.fault;
                if !all.iter().any(known) {
                    all.push(variable);
                }
            }
        }
        all
    }

    fn plan(self, cli: &Cli, budget: Duration) -> Plan {
        Plan {
            name: self.name,
            begun: self.begun,
            launch: Arc::new(Launch {
                app: cli.app.name.clone(),
                binary: self.binary,
                environment: self.printer.colour(self.environment),
                budget,
                printer: self.printer,
            }),
            slots: self.slots,
            follow_binary: self.follow_binary,
            on_crash: self.on_crash,
            welcome: self.welcome,
        }
    }
}

/// What the command line says about crashes, else `otherwise`.
pub(super) fn on_crash(matches: &ArgMatches, otherwise: OnCrash) -> OnCrash {
    if matches.get_flag("exit-on-crash") {
        OnCrash::End
    } else {
        otherwise
    }
}

/// Why a port cannot be listened on.
pub(super) fn refused(address: SocketAddr, error: io::Error) -> Error {
    let message = format!("cannot listen on {address}; --port names another base port");
    match error.kind() {
        // Its owner may be about to end: unlike the others, this is worth another start.
        io::ErrorKind::AddrInUse => Error::internal(message).with_source(error),
        _ => Error::configuration(message).with_source(error),
    }
}

/// Where this binary lies; asked first, for a build may replace it at any time.
pub(super) fn binary() -> Result<PathBuf, Error> {
    env::current_exe()
        .map_err(|error| Error::internal("this binary cannot be found").with_source(error))
}

/// The formation on the command line; one process of each type when there is none.
pub(super) fn formation(cli: &Cli, matches: &ArgMatches) -> Result<Formation, Error> {
    match matches.get_many::<String>("formation") {
        Some(texts) => {
            let texts: Vec<_> = texts.cloned().collect();
            Formation::parse(&texts, &cli.processes)
        }
        None => Ok(Formation::one_of_each()),
    }
}

/// A printer that knows the names of all processes before they are started.
pub(super) fn printer(cli: &Cli, name: &str, formation: &Formation) -> Printer {
    let names = formation.names(&cli.processes);
    let names = names.chain(["release".into(), name.to_owned()]).collect();
    Printer::new(names, &cli.environment)
}

/// The base port, if somebody named one.
pub(super) fn base_port(
    matches: &ArgMatches,
    environment: &Environment,
) -> Result<Option<u16>, Error> {
    if let Some(port) = matches.get_one::<u16>("port") {
        return Ok(Some(*port));
    }
    let port = read(environment, "PORT", "the base port")?;
    if port == Some(0) {
        let problem = "PORT is 0, and the base port is a number from 1 to 65535";
        return Err(Error::configuration(problem));
    }
    Ok(port)
}

/// The address to listen on, if somebody named one.
pub(super) fn host(environment: &Environment) -> Result<Option<IpAddr>, Error> {
    read(environment, "HOST", "the address to listen on")
}

fn read<T: twelve_core::Value>(
    environment: &Environment,
    name: &'static str,
    purpose: &'static str,
) -> Result<Option<T>, Error> {
    let mut reader = Reader::new(environment);
    let value = reader.read(name, None, purpose);
    value.ok_or_else(|| {
        let faults = Faults::among(reader.into_variables());
        let text = faults.map(|faults| faults.to_string());
        Error::configuration(text.unwrap_or_default())
    })
}
