//! Exit codes: the same numbers for every process type and command.

use std::process::ExitCode;

use super::Error;

/// How a process or a command ended.
///
/// The numbers from 64 on are those of BSD's `sysexits.h`, so that systemd's `RestartPreventExitStatus=` and Kubernetes' `podFailurePolicy` can tell a mistake from a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// 0: done, or drained cleanly.
    Done,
    /// 1: it failed.
    Failure,
    /// 2: the time to drain was over before everything had finished.
    Overdue,
    /// 64: the words on the command line are wrong.
    Usage,
    /// 69: a backing service is unavailable.
    Unavailable,
    /// 78: a variable or the wiring is wrong; starting again will not help.
    Configuration,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Done => 0,
            Self::Failure => 1,
            Self::Overdue => 2,
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::Configuration => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        u8::try_from(exit.code()).map_or(Self::FAILURE, Self::from)
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        if error.is_configuration() {
            Self::Configuration
        } else if error.is_usage() {
            Self::Usage
        } else if error.is_unavailable() {
            Self::Unavailable
        } else {
            Self::Failure
        }
    }
}
