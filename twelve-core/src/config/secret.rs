//! A value that no log line shows.

use std::fmt;

use super::Value;

/// A secret: it is never printed, whatever prints the struct it stands in.
///
/// ```
/// use twelve_core::Secret;
/// let key = Secret::new("s3cret".to_owned());
/// assert_eq!(format!("{key:?}"), "[secret]");
/// assert_eq!(key.reveal(), "s3cret");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself; named so that a reader of the code sees where it leaves its cover.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<T: Value> Value for Secret<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn parse(text: &str) -> Result<Self, String> {
        // The inner parser's own words may quote the value: they are not passed on.
        T::parse(text)
            .map(Self)
            .map_err(|_| "not in the expected form".into())
    }

    fn show(_: &str) -> String {
        "[secret]".into()
    }
}
