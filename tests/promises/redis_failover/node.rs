//! A server of Redis on a port of its own, which may be told to follow another one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use twelve::redis::{self, FromRedisValue, RedisResult, aio::MultiplexedConnection};

use crate::harness::port;
use crate::harness::process::{Launch, Process};
use crate::harness::wait::{until, until_true};

const SOON: Duration = Duration::from_secs(20);

/// Where packages put it, besides PATH.
const PLACES: [&str; 4] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
];

pub(super) struct Node {
    pub(super) port: u16,
    directory: PathBuf,
    connection: MultiplexedConnection,
    _process: Process,
}

impl Node {
    pub(super) async fn start() -> Self {
        Self::with_password("").await
    }

    pub(super) async fn with_password(password: &str) -> Self {
        let port = port::free();
        let name = format!("promises-redis-{:08x}", fastrand::u32(..));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).expect("a directory for Redis");
        let port_text = port.to_string();
        let mut process = Launch::new(&binary())
            .args(["--port", &port_text, "--bind", "127.0.0.1"])
            .args(["--save", "", "--requirepass", password])
            // A primary need not wait for more replicas that want its data.
            .args(["--repl-diskless-sync-delay", "0"])
            .directory(&directory)
            .spawn();
        let url = match password {
            "" => format!("redis://127.0.0.1:{port}"),
            password => format!("redis://:{password}@127.0.0.1:{port}"),
        };
        let client = redis::Client::open(url).expect("a URL");
        let connection = until("Redis", SOON, async || {
            process.expect_running();
            client.get_multiplexed_async_connection().await.ok()
        })
        .await;
        Self {
            port,
            directory,
            connection,
            _process: process,
        }
    }

    pub(super) fn address(&self) -> [String; 2] {
        ["127.0.0.1".to_owned(), self.port.to_string()]
    }

    /// Becomes a replica of that one, and waits until it has everything.
    pub(super) async fn follow(&self, primary: &Self) {
        let () = self.ask("REPLICAOF", &primary.address()).await;
        self.until("master_link_status:up").await;
    }

    /// Waits until its section on replication says this.
    pub(super) async fn until(&self, said: &str) {
        until_true(said, SOON, async || {
            let info: String = self.ask("INFO", &["replication".to_owned()]).await;
            info.contains(said)
        })
        .await;
    }

    /// The code with which it refuses to read, if it does.
    pub(super) async fn code_of_get(&self) -> Option<String> {
        let answer: RedisResult<Option<String>> = self.try_ask("GET", &["0".to_owned()]).await;
        Some(answer.err()?.code()?.to_owned())
    }

    pub(super) async fn ask<T: FromRedisValue>(&self, command: &str, arguments: &[String]) -> T {
        let answer = self.try_ask(command, arguments).await;
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    async fn try_ask<T: FromRedisValue>(
        &self,
        command: &str,
        arguments: &[String],
    ) -> RedisResult<T> {
        let mut connection = self.connection.clone();
        let mut command = redis::cmd(command);
        command.arg(arguments).query_async(&mut connection).await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn binary() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(PLACES.map(PathBuf::from))
        .flat_map(|place| ["redis-server", "valkey-server"].map(|name| place.join(name)))
        .find(|binary| Path::is_file(binary))
        .expect("redis-server or valkey-server is installed")
}
