//! One real child: its lines, its signals, its end.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::{
    fmt, io,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::{self, Command},
    task::JoinSet,
    time::{sleep, timeout},
};
use twelve_core::{
    Exit,
    health::{self, Report},
};

use super::{formation::ProcessSlot, launch::Launch, printer::Printer};

/// The longest line that is printed whole; the rest of a longer one follows on the next.
const LONGEST_LINE: u64 = 64 << 10;

/// How long after the end of a process its last lines are waited for: something that it started may hold the pipe.
const LAST_LINES: Duration = Duration::from_millis(500);

/// How often a starting process is asked whether it is ready.
const PROBE_EVERY: Duration = Duration::from_millis(20);

/// How long a process may answer no probe at all while it starts.
const SILENCE_LIMIT: Duration = Duration::from_secs(5);

/// How long after its budget a process is killed.
const KILL_MARGIN: Duration = Duration::from_secs(1);

/// A running process.
#[derive(Debug)]
pub(super) struct Child {
    process: process::Child,
    pid: u32,
    started: Instant,
    ready: Option<Instant>,
    lines: JoinSet<()>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended(ExitStatus);

impl Child {
    /// Starts a process, whose lines are printed under this name.
    pub(super) fn start(mut command: Command, name: &str, printer: &Printer) -> io::Result<Self> {
        let mut process = command.spawn()?;
        let mut lines = JoinSet::new();
        if let Some(stdout) = process.stdout.take() {
            lines.spawn(print(stdout, name.to_owned(), printer.clone()));
        }
        if let Some(stderr) = process.stderr.take() {
            lines.spawn(print(stderr, name.to_owned(), printer.clone()));
        }
        Ok(Self {
            pid: process.id().unwrap_or_default(),
            process,
            started: Instant::now(),
            ready: None,
            lines,
        })
    }

    /// How long it has been ready, if it ever was.
    pub(super) fn worked(&self) -> Option<Duration> {
        self.ready.map(|since| since.elapsed())
    }

    /// Waits for its end, and for its last lines.
    pub(super) async fn ended(&mut self) -> Ended {
        let ended = self.exited().await;
        self.clean_up().await;
        ended
    }

    async fn exited(&mut self) -> Ended {
        loop {
            match self.process.wait().await {
                Ok(status) => return Ended(status),
                // Nothing else waits for our children; if the kernel says so all the same, asking again is all there is.
                Err(_) => sleep(PROBE_EVERY).await,
            }
        }
    }

    /// Waits for the last lines, and ends what the process had started and left behind.
    async fn clean_up(&mut self) {
        let all_lines = async { while self.lines.join_next().await.is_some() {} };
        if timeout(LAST_LINES, all_lines).await.is_err() {
            self.lines.abort_all();
        }
        self.signal_group(Signal::KILL);
    }

    /// Resolves when the process says that it is ready.
    ///
    /// One that answers no probe at all, for its socket's path is too long, say, is taken for ready when it has lived for a while.
    ///
    /// # Errors
    ///
    /// It ended before.
    pub(super) async fn until_ready(
        &mut self,
        slot: &ProcessSlot,
        launch: &Launch,
    ) -> Result<(), Ended> {
        let mut has_answered = false;
        loop {
            tokio::select! {
                biased;
                ended = self.exited() => {
                    self.clean_up().await;
                    return Err(ended);
                }
                () = sleep(PROBE_EVERY) => {}
            }
            let report = self.probe(slot, launch).await;
            has_answered |= report.is_some();
            let is_silent = !has_answered && self.started.elapsed() > SILENCE_LIMIT;
            if is_silent {
                let text = "answers no probes, so nobody knows whether it is ready: set TWELVE_STATE_DIR to a writable directory with a short path";
                launch.printer.say(&slot.name, text);
            }
            if is_silent || report.is_some_and(|report| report.is_ready()) {
                self.ready = Some(Instant::now());
                return Ok(());
            }
        }
    }

    async fn probe(&self, slot: &ProcessSlot, launch: &Launch) -> Option<Report> {
        let (app, environment) = (launch.app.clone(), launch.environment.clone());
        let (process_type, pid) = (slot.process_type.clone(), self.pid);
        let asked = tokio::task::spawn_blocking(move || {
            health::probe_one(&app, &environment, &process_type, pid)
        });
        asked.await.ok().flatten()
    }

    /// Has it drain, and waits for its end; kills it when it takes longer than its budget.
    pub(super) async fn stop(&mut self, budget: Duration) -> Ended {
        if let Some(pid) = self.id() {
            // It may have ended a moment ago.
            let _ = kill_process(pid, Signal::TERM);
        }
        if let Ok(ended) = timeout(budget + KILL_MARGIN, self.ended()).await {
            return ended;
        }
        self.signal_group(Signal::KILL);
        self.ended().await
    }

    /// Its id, as long as it has not been waited for.
    fn id(&self) -> Option<Pid> {
        Pid::from_raw(self.process.id()?.cast_signed())
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(group) = Pid::from_raw(self.pid.cast_signed()) {
            // Mostly nobody is left in it.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Ended {
    /// Would it end the same way if it were started again?
    pub(super) fn is_final(self) -> bool {
        let code = self.0.code();
        code == Some(Exit::Configuration.code()) || code == Some(Exit::Usage.code())
    }

    /// Was it killed from outside? Then its end says nothing of whether it can start.
    pub(super) fn was_killed(self) -> bool {
        self.0.signal() == Some(Signal::KILL.as_raw())
    }

    /// What the supervisor's own exit code makes of it.
    pub(super) fn exit(self) -> Exit {
        let known = [
            Exit::Done,
            Exit::Overdue,
            Exit::Usage,
            Exit::Unavailable,
            Exit::Configuration,
        ];
        let found = known
            .into_iter()
            .find(|exit| self.0.code() == Some(exit.code()));
        // Who was killed at the end of the budget was not done.
        found.unwrap_or(Exit::Failure)
    }

    /// The same for one that ended though nobody had asked it to: not even a 0 is good then.
    pub(super) fn as_failure(self) -> Exit {
        match self.exit() {
            Exit::Done => Exit::Failure,
            exit => exit,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.code(), self.0.signal()) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None) => write!(f, "{}", self.0),
        }
    }
}

/// Prints what a process writes, line by line.
async fn print(pipe: impl AsyncRead + Unpin, name: String, printer: Printer) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut pipe).take(LONGEST_LINE);
        match bounded.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = line.strip_suffix(b"\n").unwrap_or(&line);
                let text = text.strip_suffix(b"\r").unwrap_or(text);
                printer.line(&name, text).await;
            }
        }
    }
}
