//! The clock of one process, set wrong by libfaketime.

use std::path::{Path, PathBuf};

use super::process::Launch;

/// Where Debian's package `faketime` has its library.
fn library() -> String {
    let architecture = std::env::consts::ARCH;
    format!("/usr/lib/{architecture}-linux-gnu/faketime/libfaketime.so.1")
}

/// How far a process's clock is off: a file that libfaketime reads. The monotonic clock stays as it is.
pub(crate) struct WrongClock(PathBuf);

impl WrongClock {
    /// Nothing, and a word about it, where libfaketime is not installed.
    pub(crate) fn off_by(offset: &str) -> Option<Self> {
        let library = library();
        if !Path::new(&library).exists() {
            println!("skipped: there is no {library}, from the package faketime");
            return None;
        }
        let name = format!("promises-{:08x}.faketime", fastrand::u32(..));
        let clock = Self(std::env::temp_dir().join(name));
        clock.set(offset);
        Some(clock)
    }

    pub(crate) fn set(&self, offset: &str) {
        std::fs::write(&self.0, offset).expect("write the offset");
    }

    /// The process that is launched so has this clock.
    pub(crate) fn for_launch(&self, launch: Launch) -> Launch {
        launch
            .var("LD_PRELOAD", library())
            .var("FAKETIME_TIMESTAMP_FILE", self.0.display().to_string())
            .var("FAKETIME_NO_CACHE", "1")
            .var("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }
}

impl Drop for WrongClock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
