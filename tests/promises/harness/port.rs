//! Free ports.

use std::net::{Ipv4Addr, TcpListener};

/// A port that nobody listens on.
///
/// Chosen below the kernel's ephemeral range (32768 and up by default): a port
/// that the kernel hands out for `bind(0)` is also one that it hands to the
/// next outgoing connection, and a server that is killed and started again on
/// its port would then find it taken. And chosen above the last port that
/// browsers refuse (10080), for whoever looks at a test's page in one.
pub(crate) fn free() -> u16 {
    for _ in 0..1_000 {
        let port = fastrand::u16(11_000..32_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between 11000 and 32000 in a thousand tries");
}
