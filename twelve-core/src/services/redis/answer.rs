//! Which answers of Redis speak of the server, and not of the command.
//!
//! The codes are those of Redis' source: `createSharedObjects` in `server.c`, and the words in capitals after a minus elsewhere in it.

use redis::{ErrorKind, RedisError, ServerError, Value};
use std::time::Duration;

/// Faults that end only with another server, or another user.
const ELSEWHERE: [&str; 6] = [
    "READONLY",
    "MASTERDOWN",
    "MOVED",
    "NOAUTH",
    "WRONGPASS",
    "DENIED",
];

/// Faults that may end in a moment.
const HERE: [&str; 9] = [
    "LOADING",
    "BUSY",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "ASK",
    "NOREPLICAS",
    "MISCONF",
    "OOM",
    "IOERR",
];

/// An error code of the server's own, not of the command: temporary or permanent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ServerFault {
    /// The shortest time between two discards of all connections.
    pub(super) pace: Duration,
    pub(super) code: &'static str,
}

impl ServerFault {
    /// Often enough to follow a new primary within 2 s, without a storm of connects where there is none.
    fn elsewhere(code: &'static str) -> Self {
        let pace = Duration::from_millis(250);
        Self { pace, code }
    }

    /// Less often, but not never: a server may load the data of its new primary, and the address lead elsewhere by now.
    fn here(code: &'static str) -> Self {
        let pace = Duration::from_millis(500);
        Self { pace, code }
    }

    /// Of all answers to what was asked at once, the one that is acted on soonest.
    pub(super) fn of(answers: Result<&[Value], &RedisError>) -> Option<Self> {
        match answers {
            Ok(values) => values.iter().filter_map(Self::of_value).min(),
            Err(error) => Self::of_error(error),
        }
    }

    fn of_value(value: &Value) -> Option<Self> {
        let own = |value: &Value| match value {
            Value::ServerError(error) => Self::of_answer(error),
            _ => None,
        };
        match value {
            // EXEC answers what each command did.
            Value::Array(values) => values.iter().filter_map(own).min(),
            value => own(value),
        }
    }

    fn of_error(error: &RedisError) -> Option<Self> {
        let errors = error.clone().into_server_errors()?;
        let faults = errors.iter().map(|(_, error)| Self::of_answer(error));
        faults.flatten().min()
    }

    fn of_answer(error: &ServerError) -> Option<Self> {
        Self::of_text(error.code(), error.details().unwrap_or_default())
    }

    fn of_text(code: &str, detail: &str) -> Option<Self> {
        let among = |codes: &[&'static str]| codes.iter().copied().find(|known| *known == code);
        if let Some(code) = among(&ELSEWHERE) {
            return Some(Self::elsewhere(code));
        }
        if let Some(code) = among(&HERE) {
            return Some(Self::here(code));
        }
        match code {
            // CLIENT UNBLOCK and a stream that was deleted are the app's own doing.
            "UNBLOCKED" if detail.contains("instance state changed") => {
                Some(Self::elsewhere("UNBLOCKED"))
            }
            "ERR" if detail.starts_with("max number of clients") => {
                Some(Self::here("max number of clients"))
            }
            // "Transaction discarded because of: READONLY …"
            "EXECABORT" => Self::named(detail, "because of: "),
            // Before Redis 7: "Error running script (call to …): @user_script:1: @user_script: 1: -READONLY …"
            "ERR" if detail.starts_with("Error running script") => Self::named(detail, ": -"),
            _ => None,
        }
    }

    /// By the error whose text comes after `mark`.
    fn named(detail: &str, mark: &str) -> Option<Self> {
        let (_, inner) = detail.split_once(mark)?;
        let (code, detail) = inner.split_once(' ').unwrap_or((inner, ""));
        Self::of_text(code, detail)
    }
}

/// Is Redis itself at fault, rather than the command?
pub(crate) fn is_unavailable(error: &RedisError) -> bool {
    // What fails before there is an answer, or while connecting, has kinds of redis-rs' own.
    matches!(
        error.kind(),
        ErrorKind::Io | ErrorKind::AuthenticationFailed
    ) || ServerFault::of_error(error).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::parse_redis_value;

    /// As it comes over the wire.
    fn answer(line: &str) -> Value {
        parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap()
    }

    const QUICK: Option<Duration> = Some(Duration::from_millis(250));
    const PATIENT: Option<Duration> = Some(Duration::from_millis(500));

    /// The texts are those of Redis 7.0's binary, but for a script's error in Redis 6, which is wrapped: the first two.
    const ANSWERS: &[(&str, Option<Duration>)] = &[
        (
            "ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.",
            QUICK,
        ),
        (
            "ERR Error running script (call to f_1): @user_script:1: @user_script: 1: Unknown Redis command called from Lua script",
            None,
        ),
        (
            "READONLY You can't write against a read only replica.",
            QUICK,
        ),
        (
            "READONLY You can't write against a read only replica. script: f_1, on @user_script:1.",
            QUICK,
        ),
        (
            "READONLY Can not run script with write flag on readonly replica",
            QUICK,
        ),
        (
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            QUICK,
        ),
        ("MOVED 3999 127.0.0.1:6381", QUICK),
        ("NOAUTH Authentication required.", QUICK),
        (
            "WRONGPASS invalid username-password pair or user is disabled.",
            QUICK,
        ),
        (
            "DENIED Redis is running in protected mode because protected mode is enabled",
            QUICK,
        ),
        (
            "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
            QUICK,
        ),
        ("UNBLOCKED client unblocked via CLIENT UNBLOCK", None),
        ("UNBLOCKED the stream key no longer exists", None),
        ("LOADING Redis is loading the dataset in memory", PATIENT),
        (
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
            PATIENT,
        ),
        ("BUSYKEY Target key name already exists.", None),
        ("BUSYGROUP Consumer Group name already exists", None),
        ("CLUSTERDOWN Hash slot not served", PATIENT),
        (
            "TRYAGAIN Multiple keys request during rehashing of slot",
            PATIENT,
        ),
        ("ASK 3999 127.0.0.1:6381", PATIENT),
        ("NOREPLICAS Not enough good replicas to write.", PATIENT),
        (
            "MISCONF Errors writing to the AOF file: No space left on device",
            PATIENT,
        ),
        (
            "OOM command not allowed when used memory > 'maxmemory'.",
            PATIENT,
        ),
        ("IOERR error or timeout writing to target instance", PATIENT),
        ("ERR max number of clients reached", PATIENT),
        (
            "EXECABORT Transaction discarded because of: READONLY You can't write against a read only replica.",
            QUICK,
        ),
        (
            "EXECABORT Transaction discarded because of previous errors.",
            None,
        ),
        (
            "ERR unknown command 'FOO', with args beginning with: ",
            None,
        ),
        ("ERR value is not an integer or out of range", None),
        (
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            None,
        ),
        ("NOSCRIPT No matching script. Please use EVAL.", None),
        (
            "NOPERM this user has no permissions to run the 'set' command",
            None,
        ),
        (
            "CROSSSLOT Keys in request don't hash to the same slot",
            None,
        ),
        ("NOGROUP No such consumer group 'a' for key name 'b'", None),
        ("NOPROTO unsupported protocol version", None),
    ];

    #[test]
    fn what_a_server_says_of_itself_is_told_from_what_it_says_of_a_command() {
        for &(line, pace) in ANSWERS {
            let error = answer(line).extract_error().unwrap_err();
            let found = ServerFault::of(Ok(&[answer(line)])).map(|fault| fault.pace);
            assert_eq!(found, pace, "{line}");
            assert_eq!(is_unavailable(&error), pace.is_some(), "{line}");
        }
    }

    #[test]
    fn of_several_answers_one_is_enough() {
        let pipeline = [Value::Okay, answer("LOADING x"), answer("READONLY x")];
        let code = |answers| ServerFault::of(Ok(answers)).map(|fault| fault.code);
        assert_eq!(code(&pipeline), Some("READONLY"));
        let transaction = [Value::Okay, Value::Array(vec![answer("OOM x")])];
        assert_eq!(code(&transaction), Some("OOM"));
        assert_eq!(code(&[Value::Okay, Value::Nil]), None);
    }

    #[test]
    fn what_breaks_before_there_is_an_answer_is_an_outage() {
        for kind in [
            std::io::ErrorKind::BrokenPipe,
            std::io::ErrorKind::TimedOut,
            std::io::ErrorKind::ConnectionRefused,
        ] {
            assert!(is_unavailable(&std::io::Error::from(kind).into()), "{kind}");
        }
        let mistake = RedisError::from((ErrorKind::UnexpectedReturnType, "not a number"));
        assert!(!is_unavailable(&mistake));
    }
}
