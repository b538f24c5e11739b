//! `start`: a whole formation on this host, under one supervisor.

use clap::Args;
use std::{net::Ipv4Addr, time::Instant};
use twelve_core::{Error, Exit};
use twelve_dev::{
    dotenv,
    supervisor::{BASE_PORT, OnCrash, bind, sibling_urls},
};
use twelve_web::{bad_port_warning, is_bad_port};

use crate::cli::{
    command::Command,
    invocation::Invocation,
    supervision::{FormationArgs, Supervision, binary, host, printer, refused},
};

/// Run a formation of processes: start -m web=2,worker=1.
#[derive(Args)]
pub(super) struct Start {
    #[command(flatten)]
    formation: FormationArgs,
}

impl Command for Start {
    const NAME: &'static str = "start";

    fn run(self, invocation: &Invocation) -> Result<Exit, Error> {
        let begun = Instant::now();
        let binary = binary()?;
        let environment = dotenv::load(&invocation.environment)?;
        let formation = self.formation.formation(&invocation.process_types)?;
        let base = self.formation.base_port(&environment)?.unwrap_or(BASE_PORT);
        let host = host(&environment)?.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let slots = formation.slots(&invocation.process_types, base)?;
        let slots = bind(slots, host).map_err(|(address, error)| refused(address, error))?;
        let printer = printer(invocation, "start", &formation);
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
            on_crash: self.formation.on_crash(OnCrash::RestartOrEnd),
            follow_binary: false,
            welcome: Vec::new(),
            beside: None,
        };
        supervision.run(invocation)
    }
}
