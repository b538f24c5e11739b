//! `REDIS_URL`.

use redis::{ConnectionInfo, IntoConnectionInfo};
use url::Url;

use crate::Value;

#[derive(Debug)]
pub(super) struct Address(ConnectionInfo);

impl Address {
    pub(super) fn into_info(self) -> ConnectionInfo {
        self.0
    }
}

impl Value for Address {
    const EXPECTED: &'static str = "a URL such as redis://localhost:6379/0";

    fn parse(text: &str) -> Result<Self, String> {
        text.into_connection_info()
            .map(Self)
            .map_err(|error| error.to_string())
    }

    fn show(text: &str) -> String {
        <Url as Value>::show(text)
    }
}
