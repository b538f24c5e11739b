//! What `start` and `dev` have in common: their options, and a formation under one supervisor.

use clap::{Args, value_parser};
use futures_util::future::BoxFuture;
use std::{
    env, io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use twelve_core::{
    Budget, Config, Context, Environment, Error, Exit, Faults, Needs, ProcessKind, ProcessType,
    Reader, Value, Variable,
};
use twelve_dev::supervisor::{Formation, Launch, Listening, OnCrash, Plan, Printer};

use super::invocation::Invocation;

/// How much longer than its children a supervisor may take: they are killed first.
const MARGIN: Duration = Duration::from_secs(3);

/// How long the last lines may take: nobody may be reading.
const LAST_LINES: Duration = Duration::from_millis(500);

const ANNOUNCE: &str = "TWELVE_ANNOUNCE";

// The options of both. Not a doc comment: clap would print it as their help.
#[derive(Args)]
pub(super) struct FormationArgs {
    /// How many of each type: web=2,worker=1 or all=1,web=2.
    #[arg(long, short = 'm', value_name = "FORMATION")]
    formation: Vec<String>,
    /// The base port; each type has its own, 100 above the last.
    #[arg(long, value_name = "PORT", value_parser = value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// End all processes when one ends.
    #[arg(long)]
    exit_on_crash: bool,
}

impl FormationArgs {
    /// The formation on the command line; one process of each type when there is none.
    pub(super) fn formation(&self, types: &[ProcessType]) -> Result<Formation, Error> {
        match self.formation.as_slice() {
            [] => Ok(Formation::one_of_each()),
            texts => Formation::parse(texts, types),
        }
    }

    /// The base port, if the command line or the environment names one.
    pub(super) fn base_port(&self, environment: &Environment) -> Result<Option<u16>, Error> {
        if let Some(port) = self.port {
            return Ok(Some(port));
        }
        let port = read(environment, "PORT", "the base port")?;
        if port == Some(0) {
            let problem = "PORT is 0, and the base port is a number from 1 to 65535";
            return Err(Error::configuration(problem));
        }
        Ok(port)
    }

    /// What the command line says about crashes, else `otherwise`.
    pub(super) fn on_crash(&self, otherwise: OnCrash) -> OnCrash {
        if self.exit_on_crash {
            OnCrash::End
        } else {
            otherwise
        }
    }
}

/// The address to listen on, if somebody named one.
pub(super) fn host(environment: &Environment) -> Result<Option<IpAddr>, Error> {
    read(environment, "HOST", "the address to listen on")
}

fn read<T: Value>(
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

/// Where this binary lies; asked first, for a build may replace it at any time.
pub(super) fn binary() -> Result<PathBuf, Error> {
    env::current_exe()
        .map_err(|error| Error::internal("this binary cannot be found").with_source(error))
}

/// A printer that knows the names of all processes before they are started.
pub(super) fn printer(invocation: &Invocation, name: &str, formation: &Formation) -> Printer {
    let names = formation.names(&invocation.process_types);
    let names = names.chain(["release".into(), name.to_owned()]).collect();
    Printer::new(names, &invocation.environment)
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

/// A formation that is about to run: from here on `start` and `dev` are the same.
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
    pub(super) fn run(mut self, invocation: &Invocation) -> Result<Exit, Error> {
        if let Some(faults) = Faults::among(self.variables(invocation)) {
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
        let context = invocation.context_in(&self.environment, name);
        let printer = self.printer.clone();
        let beside = self.beside.take();
        let work = Mutex::new(Some((
            self.plan(&invocation.app.name, budget.total),
            beside,
        )));
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

    fn variables(&self, invocation: &Invocation) -> Vec<Variable> {
        let runs = |process: &&ProcessType| {
            let name = process.name();
            self.slots.iter().any(|(slot, _)| slot.process_type == name)
        };
        let mut all: Vec<Variable> = Vec::new();
        for process in invocation.process_types.iter().filter(runs) {
            for variable in invocation.app.variables(process, &self.environment) {
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

    fn plan(self, app: &str, budget: Duration) -> Plan {
        Plan {
            name: self.name,
            begun: self.begun,
            launch: Arc::new(Launch {
                app: app.to_owned(),
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
