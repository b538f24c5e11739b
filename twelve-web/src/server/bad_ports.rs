//! Ports that browsers refuse.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
};

/// The bad ports of the Fetch standard, <https://fetch.spec.whatwg.org/#port-blocking>.
///
/// Browsers open no URL with one of them, whatever listens there: services that are not HTTP could be sent commands.
const BAD_PORTS: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990,
    993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667,
    6668, 6669, 6679, 6697, 10080,
];

/// Does no browser open a URL with this port?
#[doc(hidden)]
#[must_use]
pub fn is_bad_port(port: u16) -> bool {
    BAD_PORTS.binary_search(&port).is_ok()
}

/// What is wrong with a bad port, for whoever has named it.
#[doc(hidden)]
#[must_use]
pub fn bad_port_warning(port: u16) -> String {
    format!(
        "browsers refuse port {port}: it is a bad port of the Fetch standard, https://fetch.spec.whatwg.org/#port-blocking"
    )
}

/// Listens on the loopback address, on any free port but those.
#[doc(hidden)]
pub fn listen_on_any_port() -> io::Result<TcpListener> {
    // The kernel chooses from a range that can be set to include them. They stay bound, so that none is chosen twice.
    let mut bad = Vec::new();
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        if !is_bad_port(listener.local_addr()?.port()) {
            return Ok(listener);
        }
        bad.push(listener);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_as_the_search_relies_on() {
        assert!(BAD_PORTS.is_sorted_by(|one, next| one < next));
        assert!(is_bad_port(6000) && is_bad_port(6667) && is_bad_port(10_080));
        assert!(!is_bad_port(5000) && !is_bad_port(6001) && !is_bad_port(65_535));
    }
}
