//! Binds the port.

use std::{io, net::SocketAddr};
use tokio::net::{TcpListener, TcpSocket};
use twelve_core::{Environment, Error, supervision::inherited_listener};

use super::bad_ports::{bad_port_warning, is_bad_port};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// The socket that a supervisor has bound for this process, else one on the address; only within a runtime.
pub(super) fn open(address: SocketAddr, environment: &Environment) -> Result<TcpListener, Error> {
    let inherited = inherited_listener(environment)
        .and_then(|listener| listener.map(TcpListener::from_std).transpose())
        .map_err(|error| {
            Error::internal("the supervisor's listening socket is not usable").with_source(error)
        })?;
    if let Some(listener) = inherited {
        return Ok(listener);
    }
    let listener = bind(address)?;
    warn_of_bad_port(&listener);
    Ok(listener)
}

/// It is listened on all the same, because a proxy reaches it, and a platform may have chosen it.
fn warn_of_bad_port(listener: &TcpListener) {
    if let Ok(address) = listener.local_addr()
        && is_bad_port(address.port())
    {
        let why = bad_port_warning(address.port());
        tracing::warn!("{why}; a proxy in front still reaches it");
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    try_bind(address).map_err(|error| {
        let port = address.port();
        let why = match error.kind() {
            // Its owner may be about to end: unlike the others, this is worth another start.
            io::ErrorKind::AddrInUse => {
                let why = format!("PORT={port} is in use by another process");
                return Error::internal(why).with_source(error);
            }
            io::ErrorKind::PermissionDenied => {
                format!("PORT={port} is not allowed to this user; ports from 1024 on are")
            }
            io::ErrorKind::AddrNotAvailable => {
                format!("HOST={} is no address of this machine", address.ip())
            }
            _ => format!("cannot listen on {address} (HOST and PORT)"),
        };
        Error::configuration(why).with_source(error)
    })
}

fn try_bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Else a restart would have to wait until the kernel has forgotten the last process's connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let first = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = first.local_addr().unwrap();
        let error = bind(address).unwrap_err();
        assert!(!error.is_configuration());
        assert!(
            error
                .to_string()
                .contains(&format!("PORT={}", address.port()))
        );
    }
}
