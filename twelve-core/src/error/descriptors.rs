//! File descriptors: a process that has none left cannot connect, which looks like an outage of the server.

use std::{error::Error, io, iter, sync::Arc};

/// Has the process, or its host, no file descriptor left (`EMFILE` and `ENFILE` of errno(3))?
#[must_use]
pub fn is_out_of_descriptors(error: &(dyn Error + 'static)) -> bool {
    iter::successors(Some(error), |&cause| cause.source()).any(|cause| {
        let io: Option<&io::Error> = cause
            .downcast_ref()
            .or_else(|| shared(cause)?.downcast_ref());
        let number = io.and_then(io::Error::raw_os_error);
        [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE]
            .iter()
            .any(|errno| number == Some(errno.raw_os_error()))
    })
}

/// redis-rs shares its sources.
fn shared<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + Send + Sync + 'static)> {
    cause
        .downcast_ref::<Arc<dyn Error + Send + Sync>>()
        .map(|shared| &**shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emfile() -> io::Error {
        io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error())
    }

    #[test]
    fn the_shortage_is_found_beneath_what_drivers_make_of_it() {
        assert!(is_out_of_descriptors(&emfile()));
        assert!(is_out_of_descriptors(&sqlx::Error::Io(emfile())));
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(!is_out_of_descriptors(&sqlx::Error::Io(refused)));
    }

    #[cfg(feature = "redis")]
    #[test]
    fn the_shortage_is_found_beneath_what_redis_makes_of_it() {
        assert!(is_out_of_descriptors(&redis::RedisError::from(emfile())));
    }
}
