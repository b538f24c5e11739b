//! A real Redis, for what the shop does without in the other tests.

use std::path::Path;

use twelve::services::{Directory, Services, Wanted};

/// A server, which stays up at least as long as this.
#[derive(Debug)]
pub(crate) struct Redis {
    pub(crate) url: String,
    /// Nothing for a server that somebody else runs.
    _services: Option<Services>,
}

impl Redis {
    /// The server that `REDIS_URL` names, else the worktree's own.
    pub(crate) async fn shared() -> Self {
        if let Ok(url) = std::env::var("REDIS_URL") {
            return Self {
                url,
                _services: None,
            };
        }
        let attaching = tokio::task::spawn_blocking(|| {
            let worktree = Path::new(env!("CARGO_MANIFEST_DIR"));
            let directory = Directory::of_worktree(worktree).expect("the worktree exists");
            Services::attach(&directory, Wanted::Redis)
        });
        let services = attaching.await.expect("the launcher does not panic");
        let services = services.unwrap_or_else(|error| panic!("no Redis: {error}"));
        let url = services.redis_url().expect("Redis was wanted").to_owned();
        Self {
            url,
            _services: Some(services),
        }
    }
}
