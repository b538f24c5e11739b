//! A value that no log line shows.

use std::fmt;
use subtle::ConstantTimeEq as _;

use super::Value;

/// A secret: it is never printed, whatever prints the struct it stands in.
///
/// ```
/// use twelve_core::Secret;
/// let key = Secret::new("s3cret".to_owned());
/// assert_eq!(format!("{key:?}"), "[secret]");
/// assert_eq!(key.reveal(), "s3cret");
/// assert!(key.matches("s3cret"), "whoever asks knows it");
/// ```
#[derive(Clone)]
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

impl<T: AsRef<[u8]>> Secret<T> {
    /// Is this the secret? For keys and tokens that somebody else sends.
    ///
    /// The time that it takes tells how long the secret is, but nothing of what it says, as that of `==` would
    /// ([CWE-208](https://cwe.mitre.org/data/definitions/208.html)).
    #[must_use]
    pub fn matches(&self, given: impl AsRef<[u8]>) -> bool {
        self.0.as_ref().ct_eq(given.as_ref()).into()
    }
}

/// In constant time, as [`Secret::matches`].
impl<T: AsRef<[u8]>> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

impl<T: AsRef<[u8]>> Eq for Secret<T> {}

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
