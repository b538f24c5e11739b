//! `start` and `dev`: a formation of real processes under one supervisor.
//!
//! ```text
//! Plan ─► bind the ports ─► (release) ─► keeper for each slot ─► child
//!                                          ▲
//! a new binary ─► release ─► roll: keeper after keeper replaces its child
//! SIGTERM, Ctrl-C ─► every keeper drains its child ─► exit
//! ```
//!
//! - Children are real processes with the argv of production, each in a process group of its own.
//! - The supervisor binds the ports and hands them on, so a restart refuses no connection.
//! - A child that finds its supervisor gone drains: nothing stays behind.

mod backoff;
mod binary;
mod child;
mod formation;
mod keeper;
mod launch;
mod ports;
mod printer;

pub use formation::{Formation, ProcessSlot, sibling_urls};
pub use launch::Launch;
pub use ports::{BASE_PORT, Ports};
pub use printer::Printer;

use std::{
    collections::HashSet,
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::sleep,
};
use twelve_core::{Error, Exit, Lifecycle, State, chain};

use self::{
    binary::Binary,
    child::{Child, Ended},
    keeper::{Keeper, KeeperEvent, Replace},
};

/// What a supervisor does.
#[derive(Debug)]
pub struct Plan {
    /// What the supervisor calls itself before its own lines: `start` or `dev`.
    pub name: &'static str,
    /// How its processes are started.
    pub launch: Arc<Launch>,
    /// Its processes, whose ports are bound.
    pub slots: Vec<Listening>,
    /// Run `release` first, and everything anew when the binary changes.
    pub follow_binary: bool,
    /// What to do when a process ends by itself.
    pub on_crash: OnCrash,
    /// When the supervisor itself began.
    pub begun: Instant,
    /// What to say when everything is ready: where things are.
    pub welcome: Vec<String>,
}

/// What to do when a process ends though nobody had asked it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCrash {
    /// Start it again; wait for another binary when that would not help.
    Restart,
    /// Start it again; end all when that would not help, for nobody will mend it here.
    RestartOrEnd,
    /// End all.
    End,
}

/// A process of the formation, with its listening socket if it serves HTTP.
pub type Listening = (ProcessSlot, Option<Arc<TcpListener>>);

/// Binds the ports of a formation.
///
/// # Errors
///
/// An address is refused: the error names it.
pub fn bind(
    slots: Vec<ProcessSlot>,
    host: IpAddr,
) -> Result<Vec<Listening>, (SocketAddr, io::Error)> {
    let bind = |slot: ProcessSlot| {
        let address = SocketAddr::new(host, slot.port);
        let listener = slot.listens.then(|| listen(address)).transpose();
        listener
            .map(|listener| (slot, listener.map(Arc::new)))
            .map_err(|error| (address, error))
    };
    slots.into_iter().map(bind).collect()
}

/// How many connections may wait while a process is started again: as many as in twelve-web, where std has 128.
const BACKLOG: i32 = 1024;

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// How long `release` may take while the old processes go on.
const LONGEST_RELEASE: Duration = Duration::from_mins(5);

/// A keeper as its supervisor sees it.
struct KeeperHandle {
    name: String,
    orders: mpsc::Sender<Replace>,
}

impl Plan {
    /// Runs the formation until it is told to stop.
    ///
    /// # Errors
    ///
    /// `release` cannot be started.
    pub async fn run(mut self, lifecycle: Lifecycle) -> Result<Exit, Error> {
        let mut binary = Binary::new(&self.launch.binary);
        if self.follow_binary {
            let released = self.release(lifecycle.draining()).await?;
            if lifecycle.state() >= State::Drain {
                return Ok(Exit::Done);
            }
            if released != Exit::Done {
                return Ok(released);
            }
        }
        let (events, mut reported) = mpsc::unbounded_channel();
        let mut running = JoinSet::new();
        // Nobody but its keeper holds a socket open.
        let slots = std::mem::take(&mut self.slots);
        let keepers = slots.into_iter().map(|(slot, listener)| {
            let (orders, receiver) = mpsc::channel(1);
            let name = slot.name.clone();
            let keeper = Keeper {
                slot,
                launch: Arc::clone(&self.launch),
                listener,
                lifecycle: lifecycle.clone(),
                events: events.clone(),
            };
            running.spawn(keeper.run(receiver));
            KeeperHandle { name, orders }
        });
        let keepers: Vec<KeeperHandle> = keepers.collect();
        let mut expected: HashSet<String> =
            keepers.iter().map(|keeper| keeper.name.clone()).collect();
        let mut exit = Exit::Done;
        loop {
            tokio::select! {
                biased;
                () = lifecycle.draining() => break,
                Some((name, event)) = reported.recv() => match event {
                    KeeperEvent::Crashed(ended) if self.ends_with(ended) => {
                        self.say(&format!("{name} ended with {ended}: ending all"));
                        exit = ended.as_failure();
                        lifecycle.begin_drain();
                    }
                    KeeperEvent::Crashed(ended) if !ended.is_final() => {}
                    // It is ready, or never will be: nobody waits for it any more.
                    KeeperEvent::Ready | KeeperEvent::Crashed(_) => {
                        if expected.remove(&name) && expected.is_empty() {
                            lifecycle.ready();
                            self.welcome();
                        }
                    }
                },
                () = binary.changed(), if self.follow_binary => self.roll(&keepers, &lifecycle).await,
            }
        }
        self.say("draining");
        while let Some(ended) = running.join_next().await {
            let ended = ended.unwrap_or(Exit::Failure);
            if exit == Exit::Done {
                exit = ended;
            }
        }
        Ok(exit)
    }

    fn ends_with(&self, ended: Ended) -> bool {
        match self.on_crash {
            OnCrash::Restart => false,
            OnCrash::RestartOrEnd => ended.is_final(),
            OnCrash::End => true,
        }
    }

    /// Runs `release`, unless it is to be stopped before.
    async fn release(&self, stop: impl Future<Output = ()>) -> Result<Exit, Error> {
        let refused = |error| Error::internal("`release` cannot be started").with_source(error);
        let release = Child::start(self.launch.release(), "release", &self.launch.printer);
        let mut release = release.map_err(refused)?;
        let ended = tokio::select! {
            biased;
            ended = release.ended() => ended,
            () = stop => release.stop(self.launch.budget).await,
        };
        if ended.exit() != Exit::Done {
            self.say(&format!("the release ended with {ended}"));
        }
        Ok(ended.exit())
    }

    /// Replaces every process, one after the other; stops at the first that does not become ready.
    async fn roll(&self, keepers: &[KeeperHandle], lifecycle: &Lifecycle) {
        self.say("the binary has changed");
        let begun = Instant::now();
        // A migration that waits for what an old process holds would wait for ever.
        let stop = async {
            tokio::select! {
                () = lifecycle.draining() => {}
                () = sleep(LONGEST_RELEASE) => self.say("the release takes too long"),
            }
        };
        match self.release(stop).await {
            Ok(Exit::Done) => {}
            Ok(_) => return self.say("the old processes go on"),
            Err(error) => return self.say(&format!("{}; the old processes go on", chain(&error))),
        }
        for keeper in keepers {
            let (answer, replaced) = oneshot::channel();
            // A keeper that is gone was told to drain.
            let _ = keeper.orders.send(answer).await;
            if let Ok(Err(problem)) = replaced.await {
                let name = &keeper.name;
                return self.say(&format!(
                    "the new {name}: {problem}; the old processes go on"
                ));
            }
        }
        if lifecycle.state() < State::Drain {
            let took = begun.elapsed();
            self.say(&format!(
                "every process runs the new binary, after {took:.1?}"
            ));
        }
    }

    fn welcome(&self) {
        self.say(&format!("ready after {:.1?}", self.begun.elapsed()));
        for line in &self.welcome {
            self.say(line);
        }
    }

    fn say(&self, text: &str) {
        self.launch.printer.say(self.name, text);
    }
}
