//! How many connections the limit of open files leaves room for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many descriptors are left for everything that is not a client: the runtime, Postgres, Redis, and what handlers open.
const RESERVE: usize = 256;

/// How many clients may be let in beside those that have a place: enough for every probe of a host.
const BESIDE: usize = 64;

/// How many clients may be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) connections: usize,
    pub(super) beside: usize,
}

impl Room {
    /// Room for so many connections, as far as the limit allows.
    ///
    /// The soft limit (`ulimit -n`) is raised for it, at most to the hard one.
    /// It is not raised further: what is started from here may close every descriptor that there could be, one by one.
    pub(super) fn of(connections: usize) -> Self {
        let wanted = connections.saturating_add(BESIDE + RESERVE);
        let limit = raise(wanted);
        let room = Self::within(limit, connections);
        if room.connections < connections {
            tracing::warn!(
                wanted,
                limit,
                connections = room.connections,
                "TWELVE_MAX_CONNECTIONS={connections} needs more open files than the hard limit allows: raise that (`ulimit -Hn`, `LimitNOFILE`, `--ulimit nofile`), or lower the variable"
            );
        }
        room
    }

    /// Where the limit is low, half of it is left.
    fn within(limit: usize, connections: usize) -> Self {
        let beside = BESIDE.min(limit / 16);
        let reserve = RESERVE.min(limit / 2) + beside;
        Self {
            connections: connections.min(limit.saturating_sub(reserve)).max(1),
            beside: beside.max(1),
        }
    }
}

/// Raises the soft limit to what is wanted, if it is lower and the hard one allows that, and answers what it is then.
fn raise(wanted: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let to_usize = |limit: Option<u64>| {
        limit.map_or(usize::MAX, |limit| limit.try_into().unwrap_or(usize::MAX))
    };
    let soft = to_usize(current);
    let raised = wanted.min(to_usize(maximum));
    if raised <= soft {
        return soft;
    }
    let current = u64::try_from(raised).ok();
    match setrlimit(Resource::Nofile, Rlimit { current, maximum }) {
        Ok(()) => raised,
        Err(error) => {
            tracing::warn!(%error, soft, raised, "the limit of open files cannot be raised");
            soft
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_limit_leaves_half_of_it_to_everything_else() {
        let room = |limit, connections| {
            let Room {
                connections,
                beside,
            } = Room::within(limit, connections);
            (connections, beside)
        };
        assert_eq!(room(usize::MAX, 10_000), (10_000, 64));
        assert_eq!(room(20_000, 10_000), (10_000, 64));
        assert_eq!(room(4_096, 10_000), (3_776, 64));
        assert_eq!(room(1_024, 10_000), (704, 64));
        assert_eq!(room(64, 10_000), (28, 4));
        assert_eq!(room(64, 5), (5, 4));
        assert_eq!(room(0, 10_000), (1, 1));
    }
}
