//! The worker process of a system, as the bench sees it.

use anyhow::{Context, Result, bail};
use std::{
    collections::VecDeque,
    env,
    path::PathBuf,
    process::{ExitCode, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::{
    database::Database,
    seen::{self, MARK, now},
    system::System,
};

/// The variable that makes this binary the worker of a system.
pub const WORKER: &str = "BENCH_WORKER";

/// How long a worker may take for all that is awaited of it.
const PATIENCE: Duration = Duration::from_mins(15);

/// How many lines of a worker's log an error shows.
const LOG_LINES: usize = 20;

/// What this binary is when [`WORKER`] names this system.
pub fn main(system: &dyn System) -> Result<ExitCode> {
    if env::var_os(seen::IDS).is_some() {
        seen::watch()?;
    }
    system.work()
}

/// A process of this binary that is a system's.
pub fn command(system: &dyn System, database: &Database, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(this_binary()?);
    command
        .args(arguments)
        .env(WORKER, system.name())
        .env("DATABASE_URL", &database.url)
        .envs(system.variables().iter().copied())
        .kill_on_drop(true);
    Ok(command)
}

/// This binary: where Linux keeps it even if a build has replaced the file since.
fn this_binary() -> Result<PathBuf> {
    let kept = PathBuf::from("/proc/self/exe");
    Ok(if kept.exists() {
        kept
    } else {
        env::current_exe()?
    })
}

/// A running worker.
pub struct Worker {
    child: Child,
    // Dropping it ends the worker.
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    log: VecDeque<String>,
    began: u64,
}

/// What a worker says at its end.
pub struct Report {
    /// How many different jobs it started.
    pub started: u64,
    /// How many starts were not the first of their job.
    pub doubles: u64,
    /// When each job was started, where there are not too many; 0 for never.
    pub starts: Vec<u64>,
}

impl Worker {
    /// Starts a worker that may see the jobs below `ids` and is awaited to start so many of them.
    pub fn start(system: &dyn System, database: &Database, ids: u64, awaited: u64) -> Result<Self> {
        let mut command = command(system, database, &["worker"])?;
        command
            .env(seen::IDS, ids.to_string())
            .env(seen::AWAITED, awaited.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let began = now();
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("no standard output")?;
        Ok(Self {
            child,
            stdin,
            lines: BufReader::new(stdout).lines(),
            log: VecDeque::new(),
            began,
        })
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// When it was started: its process, or its first statement if it says when that was.
    pub fn began(&self) -> u64 {
        self.began
    }

    /// Waits until all that is awaited was started; answers when that was.
    pub async fn complete(&mut self) -> Result<u64> {
        timeout(PATIENCE, async {
            loop {
                let line = self.line().await?;
                if let Some(at) = line.strip_prefix("complete ") {
                    return Ok(at.parse()?);
                }
            }
        })
        .await
        .with_context(|| format!("not all jobs were started within {PATIENCE:?}"))?
    }

    /// Ends the worker; answers what it started.
    pub async fn stop(mut self) -> Result<Report> {
        let (mut starts, mut ended) = (Vec::new(), None);
        drop(self.stdin.take());
        while ended.is_none() {
            let line = self.line().await?;
            let fields: Vec<_> = line.split(' ').collect();
            match *fields {
                ["start", _, at] => starts.push(at.parse()?),
                ["end", started, doubles] => ended = Some((started.parse()?, doubles.parse()?)),
                _ => {}
            }
        }
        self.child.wait().await?;
        let (started, doubles) = ended.unwrap_or_default();
        Ok(Report {
            started,
            doubles,
            starts,
        })
    }

    /// The next line that is for the bench.
    async fn line(&mut self) -> Result<String> {
        loop {
            let Some(line) = self.lines.next_line().await? else {
                let log: Vec<_> = self.log.iter().map(String::as_str).collect();
                bail!("the worker ended too early:\n{}", log.join("\n"));
            };
            let Some(line) = line.strip_prefix(MARK) else {
                if self.log.len() == LOG_LINES {
                    self.log.pop_front();
                }
                self.log.push_back(line);
                continue;
            };
            match line.strip_prefix("first ") {
                Some(at) => self.began = at.parse()?,
                None => return Ok(line.to_owned()),
            }
        }
    }
}
