//! Circles that are kept, each with its reason.

/// A file, a file that it uses although that leads back to it, and why.
///
/// A line that cuts no circle any more fails the test, so this list holds only what is needed: at present nothing.
pub(crate) const EXCEPTIONS: &[(&str, &str, &str)] = &[];
