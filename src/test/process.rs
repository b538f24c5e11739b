//! Real processes of the app: started, probed, sent signals, waited for.

use rustix::process::{Pid, kill_process};
use std::{
    io,
    net::Ipv4Addr,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, time::sleep};

use twelve_core::{
    Environment,
    health::{self, Report},
};
use twelve_web::listen_on_any_port;

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A signal that a test may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// SIGTERM: drain and exit.
    Term,
    /// SIGINT: what Ctrl-C sends.
    Int,
    /// SIGKILL: the process ends at once.
    Kill,
    /// SIGSTOP: the process is paused.
    Stop,
    /// SIGCONT: a paused process goes on.
    Continue,
}

/// A real process of the app; it is killed when this is dropped.
#[derive(Debug)]
pub struct TestProcess {
    child: Child,
    app: String,
    environment: Environment,
    port: u16,
}

impl TestProcess {
    pub(crate) fn spawn(
        binary: &Path,
        arguments: &[&str],
        app: &str,
        environment: &Environment,
    ) -> io::Result<Self> {
        // The port is free again a moment before the process binds it: good enough on a test's machine.
        let port = listen_on_any_port()?.local_addr()?.port();
        let child = Command::new(binary)
            .args(arguments)
            .env_clear()
            .envs(environment.iter())
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self {
            child,
            app: app.into(),
            environment: environment.clone(),
            port,
        })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it serves HTTP, if it does.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until the process says that it is ready.
    ///
    /// # Panics
    ///
    /// It is not within `limit`, or it has ended.
    pub async fn ready(&mut self, limit: Duration) {
        self.until("ready", limit, Report::is_ready).await;
    }

    /// Waits until the process runs at least so many requests or jobs.
    ///
    /// # Panics
    ///
    /// It does not within `limit`, or it has ended.
    pub async fn running(&mut self, count: usize, limit: Duration) {
        self.until("at work", limit, |report| report.running >= count)
            .await;
    }

    async fn until(&mut self, what: &str, limit: Duration, good: impl Fn(&Report) -> bool) {
        let deadline = Instant::now() + limit;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the process ended before it was {what}: {status}");
            }
            let pid = self.pid();
            let reports = health::probe(&self.app, &self.environment).unwrap_or_default();
            if reports
                .iter()
                .any(|report| report.pid == pid && good(report))
            {
                return;
            }
            assert!(Instant::now() < deadline, "not {what} within {limit:?}");
            sleep(LOOK_EVERY).await;
        }
    }

    /// Does the port accept connections?
    pub async fn accepts(&self) -> bool {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
            .await
            .is_ok()
    }

    /// Sends a signal; a process that has ended is left alone.
    pub fn signal(&self, signal: Signal) {
        use rustix::process::Signal as Number;
        let number = match signal {
            Signal::Term => Number::TERM,
            Signal::Int => Number::INT,
            Signal::Kill => Number::KILL,
            Signal::Stop => Number::STOP,
            Signal::Continue => Number::CONT,
        };
        // Our own child keeps its id until we have waited for it, so nobody else can be hit.
        let _ = kill_process(Pid::from_child(&self.child), number);
    }

    /// Waits for the end, and answers with the exit code: 128 + n after signal n.
    ///
    /// # Panics
    ///
    /// It has not ended within `limit`.
    pub async fn exit_code(&mut self, limit: Duration) -> i32 {
        let deadline = Instant::now() + limit;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                let signal = status.signal().unwrap_or_default();
                return status.code().unwrap_or(128 + signal);
            }
            assert!(Instant::now() < deadline, "still running after {limit:?}");
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for TestProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
