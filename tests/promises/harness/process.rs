//! Real processes: started, signalled, waited for, and ended with the test.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::guardian::Guardian;
use super::wait::until;

/// A command line with an environment of its own: nothing is inherited except
/// what finding programs and temporary files takes.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    binary: PathBuf,
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
    directory: Option<PathBuf>,
}

impl Launch {
    pub(crate) fn new(binary: &Path) -> Self {
        let inherited = ["PATH", "HOME", "TMPDIR", "LLVM_PROFILE_FILE"];
        let variables = inherited
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
            .collect();
        Self {
            binary: binary.to_owned(),
            arguments: Vec::new(),
            variables,
            directory: None,
        }
    }

    pub(crate) fn args<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(str::to_owned));
        self
    }

    pub(crate) fn var(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn vars(self, variables: &[(&str, &str)]) -> Self {
        variables
            .iter()
            .fold(self, |launch, (name, value)| launch.var(name, *value))
    }

    /// Where it runs; else where the test does.
    pub(crate) fn directory(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Has a shell do something to itself before it becomes this process.
    pub(crate) fn within_shell(mut self, preparation: &str) -> Self {
        let binary = self.binary.display().to_string();
        let script = format!("{preparation} && exec \"$@\"");
        let words = ["-c".to_owned(), script, "sh".to_owned(), binary];
        self.arguments.splice(0..0, words);
        self.binary = "/bin/sh".into();
        self
    }

    /// Starts it as a process that runs until it is told to end.
    pub(crate) fn spawn(self) -> Process {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = self.arguments.first().cloned().unwrap_or_default();
        // A path would not be the name of a file.
        let name = name.replace('/', "-");
        let log = std::env::temp_dir().join(format!(
            "twelve-promises-{}-{number}-{name}.log",
            std::process::id()
        ));
        let stdout = File::create(&log).expect("create the log file");
        let stderr = stdout.try_clone().expect("clone the log file's handle");
        let child = self.command().stdout(stdout).stderr(stderr).spawn();
        let child =
            child.unwrap_or_else(|error| panic!("spawn {}: {error}", self.binary.display()));
        let guardian = Guardian::new(&format!("kill -KILL -{}", child.id()));
        Process {
            name,
            child,
            log,
            _guardian: guardian,
            exit: None,
        }
    }

    /// Runs it to its end, which has to come within `bound`.
    pub(crate) async fn run(self, bound: Duration) -> Finished {
        let line = format!("{} {}", self.binary.display(), self.arguments.join(" "));
        let mut command = tokio::process::Command::from(self.command());
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let began = Instant::now();
        let output = tokio::time::timeout(bound, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("{line} ran for more than {bound:?}"));
        let output = output.unwrap_or_else(|error| panic!("{line}: {error}"));
        Finished {
            line,
            status: output.status,
            stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
            took: began.elapsed(),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(&self.variables)
            .stdin(Stdio::null())
            .process_group(0);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }
}

/// What a command that ran to its end left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    line: String,
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Finished {
    /// Checks the exit code, and shows what was printed when it is another.
    pub(crate) fn expect_code(self, code: i32) -> Self {
        let Self {
            line,
            status,
            stdout,
            stderr,
            ..
        } = &self;
        assert_eq!(
            status.code(),
            Some(code),
            "{line}: {status}\n--- stdout ---\n{stdout}\n--- stderr ---\n{stderr}"
        );
        self
    }

    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub(crate) fn is_success(&self) -> bool {
        self.status.success()
    }

    /// Both of its outputs.
    pub(crate) fn printed(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    pub(crate) fn expect_in_stderr(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "{}: {text} is not in:\n{}",
            self.line,
            self.stderr
        );
        self
    }

    pub(crate) fn expect_json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{}: not JSON: {error}\n{}", self.line, self.stdout))
    }
}

/// A running process in a process group of its own; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    _guardian: Guardian,
    exit: Option<ExitStatus>,
}

/// How a process ended, and how long that took from the moment of asking.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exit {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) took: Duration,
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        assert!(self.exit.is_none(), "{} has already ended", self.name);
        let pid = Pid::from_child(&self.child);
        // A child that has ended but was not waited for still takes signals.
        kill_process(pid, signal)
            .unwrap_or_else(|error| panic!("{signal:?} to {}: {error}", self.name));
    }

    /// Waits until the process has ended, and panics after `bound`.
    pub(crate) async fn exit_within(&mut self, bound: Duration) -> Exit {
        let began = Instant::now();
        let what = format!("{} (pid {}) to end", self.name, self.child.id());
        let status = until(&what, bound, async || self.ended()).await;
        Exit {
            code: status.code(),
            signal: status.signal(),
            took: began.elapsed(),
        }
    }

    /// Ends it, and what it started, the way a crash does.
    pub(crate) fn kill(&mut self) {
        if self.ended().is_none() {
            // Fails only when the process has ended meanwhile.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            self.exit = self.child.wait().ok();
        }
    }

    /// Panics when the process has ended: nothing else that a test waits for
    /// would come.
    pub(crate) fn expect_running(&mut self) {
        if let Some(status) = self.ended() {
            panic!("{} ended with {status} instead of running", self.name);
        }
    }

    /// Everything it has logged so far.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        if self.exit.is_none() {
            self.exit = self.child.try_wait().expect("wait for a child");
        }
        self.exit
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let ended = self.ended();
        self.kill();
        if std::thread::panicking() {
            let how = ended.map_or_else(|| "was still running".to_owned(), |exit| exit.to_string());
            eprintln!(
                "--- log of {} (pid {}), which {how} ---",
                self.name,
                self.child.id()
            );
            eprintln!(
                "{}--- end of the log of {} ---",
                last_lines(&self.log(), 150),
                self.name
            );
        }
        let _ = std::fs::remove_file(&self.log);
    }
}

fn last_lines(log: &str, count: usize) -> String {
    let lines: Vec<_> = log.lines().collect();
    let mut last = lines[lines.len().saturating_sub(count)..].join("\n");
    last.push('\n');
    last
}

/// Sleeps because the moment itself is what the test varies; on a thread, since
/// the runtime's timer knows whole milliseconds only.
pub(crate) async fn at_a_moment(after: Duration) {
    let sleeping = tokio::task::spawn_blocking(move || std::thread::sleep(after));
    sleeping.await.expect("sleeping does not panic");
}
