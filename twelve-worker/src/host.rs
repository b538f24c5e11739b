//! The name of the host.

/// What the system calls this host (`uname -n`).
pub(crate) fn name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}
