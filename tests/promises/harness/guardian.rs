//! Nothing that a test starts outlives it, not even when the test is killed.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// A shell on a pipe: when the test process dies, however it dies, the pipe
/// closes and the shell does what it was told.
///
/// `Drop` alone is not enough: a test that nextest times out is killed by a
/// signal and never unwinds, and children in process groups of their own would
/// stay behind.
#[derive(Debug)]
pub(crate) struct Guardian(Child);

impl Guardian {
    /// Runs `at_end` in a shell once this test process is gone.
    pub(crate) fn new(at_end: &str) -> Self {
        let shell = Command::new("/bin/sh")
            .arg("-c")
            .arg(format!("read line; {at_end}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Not in the test's own group, or what kills the group kills the
            // guardian first.
            .process_group(0)
            .spawn()
            .expect("spawn /bin/sh");
        Self(shell)
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        // Killed before its pipe closes, so it does nothing: whoever owned it
        // has already ended what it guarded.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
