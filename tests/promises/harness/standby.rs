//! A primary and its streaming standby, which change places.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::pgbouncer::parts;
use super::postgres::Postgres;
use super::wait::until_true;

/// A base backup of an empty cluster takes a second; a loaded machine takes its time.
const SOON: Duration = Duration::from_secs(30);

/// Two servers of the test's own, of which one follows the other.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) primary: Postgres,
    pub(crate) standby: Postgres,
}

impl Pair {
    /// The standby is synchronous: what the primary has acknowledged, it has.
    pub(crate) async fn start() -> Self {
        let pair = Self {
            primary: Postgres::private().await,
            standby: Postgres::private().await,
        };
        // A standby that has to ask again, as after a change of timelines, would wait for 5 s. The copy inherits it.
        pair.primary
            .execute("ALTER SYSTEM SET wal_retrieve_retry_interval = '100ms'")
            .await;
        pair.primary.reload().await;
        let home = pair.standby.ask("SHOW data_directory").await;
        pair.standby.stop().await;
        pair.back_up_to(&home).await;
        pair.standby.start_again().await;
        pair.primary
            .execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            .await;
        pair.primary.reload().await;
        let is_synchronous =
            "SELECT count(*)::text FROM pg_stat_replication WHERE sync_state = 'sync'";
        until_true("a synchronous standby", SOON, async || {
            pair.primary.ask(is_synchronous).await == "1"
        })
        .await;
        pair
    }

    /// Stops the primary in order, which ends only when the standby has everything; promotes the standby; and has the old primary follow it.
    ///
    /// Both are up again afterwards, with their places changed.
    pub(crate) async fn switch_over(&mut self) {
        let home = self.primary.ask("SHOW data_directory").await;
        let (role, socket) = parts(&self.standby.url);
        // Neither counts before the next start.
        let follow = format!("ALTER SYSTEM SET primary_conninfo = 'user={role} host={socket}'");
        self.primary.execute(follow).await;
        let stand_by = format!("COPY (SELECT WHERE false) TO '{home}/standby.signal'");
        self.primary.execute(stand_by).await;
        self.primary.stop().await;
        assert_eq!(
            self.standby.ask("SELECT pg_promote(true, 30)::text").await,
            "true"
        );
        self.primary.start_again().await;
        std::mem::swap(&mut self.primary, &mut self.standby);
        let follows = "SELECT count(*)::text FROM pg_stat_replication WHERE state = 'streaming'";
        until_true("the old primary to follow", SOON, async || {
            self.primary.ask(follows).await == "1"
        })
        .await;
    }

    /// Puts a copy of the primary, set up to follow it, in the place of the cluster at `home`.
    async fn back_up_to(&self, home: &str) {
        let binaries = "SELECT setting FROM pg_config WHERE name = 'BINDIR'";
        let binaries = self.primary.ask(binaries).await;
        let (role, socket) = parts(&self.primary.url);
        let owner = std::fs::metadata(home).expect("the standby's cluster");
        std::fs::remove_dir_all(home).expect("remove the standby's cluster");
        let mut backup = Command::new(Path::new(&binaries).join("pg_basebackup"));
        backup
            .args(["--username", role, "--host", socket, "--pgdata", home])
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
            .current_dir("/");
        if rustix::process::geteuid().is_root() {
            // Postgres takes no files of root's.
            backup.uid(owner.uid()).gid(owner.gid());
        }
        let backed_up = tokio::process::Command::from(backup).output().await;
        let backed_up = backed_up.expect("run pg_basebackup");
        let said = String::from_utf8_lossy(&backed_up.stderr);
        assert!(backed_up.status.success(), "pg_basebackup: {said}");
    }
}
