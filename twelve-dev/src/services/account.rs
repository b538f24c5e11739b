//! The account that runs the servers.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::error::Error;

/// In order of preference: Debian and most others, macOS, and a last resort that every system has.
const CANDIDATES: [&str; 3] = ["postgres", "_postgres", "nobody"];

/// An unprivileged account for the servers, because `initdb` and `postgres` refuse to run as root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Who calls.
pub(super) fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

impl Account {
    /// Nothing for an ordinary user, who runs the servers as itself.
    pub(super) fn for_servers() -> Result<Option<Self>, Error> {
        if effective_uid() != 0 {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd")
            .map_err(|source| Error::io("read", "/etc/passwd", source))?;
        Self::choose(&passwd)
            .map(Some)
            .ok_or_else(Error::no_account)
    }

    fn choose(passwd: &str) -> Option<Self> {
        CANDIDATES.iter().find_map(|name| {
            passwd.lines().find_map(|line| {
                let mut fields = line.split(':');
                let found = fields.next()? == *name;
                let uid = fields.nth(1)?.parse().ok()?;
                let gid = fields.next()?.parse().ok()?;
                (found && uid != 0).then(|| Self {
                    name: (*name).to_owned(),
                    uid,
                    gid,
                })
            })
        })
    }

    /// Makes `command` run as this account.
    ///
    /// The standard library drops root's supplementary groups when a uid is set.
    pub(super) fn take_over(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Checks that the account may pass through `path` and all directories above.
    ///
    /// Otherwise the servers fail with "permission denied" on a path that looks fine to root.
    pub(super) fn can_pass(&self, path: &Path) -> Result<(), Error> {
        let path = path
            .canonicalize()
            .map_err(|source| Error::io("look at", path, source))?;
        for ancestor in path.ancestors() {
            let found =
                fs::metadata(ancestor).map_err(|source| Error::io("look at", ancestor, source))?;
            let mask = if found.uid() == self.uid {
                0o100
            } else if found.gid() == self.gid {
                0o010
            } else {
                0o001
            };
            if found.mode() & mask == 0 {
                return Err(Error::closed(ancestor, &self.name));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_prefers_the_account_postgres_and_falls_back_to_nobody() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n\
                      nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\n\
                      postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\n";
        let chosen = Account::choose(passwd).unwrap();
        assert_eq!(
            (chosen.name.as_str(), chosen.uid, chosen.gid),
            ("postgres", 101, 104)
        );

        let without = passwd.replace("postgres:x", "someone:x");
        let chosen = Account::choose(&without).unwrap();
        assert_eq!(
            (chosen.name.as_str(), chosen.uid, chosen.gid),
            ("nobody", 65534, 65533)
        );
    }

    #[test]
    fn an_account_called_postgres_that_is_root_is_not_taken() {
        assert_eq!(Account::choose("postgres:x:0:0::/root:/bin/sh\n"), None);
        assert_eq!(Account::choose("not a passwd file\n"), None);
    }
}
