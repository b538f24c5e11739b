//! The app `counters`, released.

use super::POOL;
use crate::harness::binaries;
use crate::harness::database::Database;
use crate::harness::port;
use crate::harness::process::Launch;
use crate::harness::shop::{COMMAND_BOUND, Server, StateDirectory};

#[derive(Debug)]
pub(super) struct Counters {
    database: Database,
    state: StateDirectory,
    redis_url: String,
}

impl Counters {
    pub(super) async fn released(redis_url: String) -> Self {
        let counters = Self {
            database: Database::create().await,
            state: StateDirectory::new(),
            redis_url,
        };
        let release = counters.launch("release").run(COMMAND_BOUND).await;
        release.expect_code(0);
        counters
    }

    pub(super) fn with_redis(self, redis_url: String) -> Self {
        Self { redis_url, ..self }
    }

    pub(super) fn launch(&self, word: &str) -> Launch {
        Launch::new(&binaries::example("counters"))
            .args([word])
            .var("DATABASE_URL", &*self.database.url)
            .var("TWELVE_STATE_DIR", self.state.path())
            .var("TWELVE_REDIS_POOL", POOL.to_string())
            .var("REDIS_URL", &*self.redis_url)
    }

    pub(super) async fn web(&self) -> Server {
        Server::start(self.launch("web"), port::free()).await
    }
}
