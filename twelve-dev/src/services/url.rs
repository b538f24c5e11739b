//! Names and paths in URLs.

use std::ffi::OsStr;
use std::fmt::Display;
use std::os::unix::ffi::OsStrExt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// Everything but letters, digits, `-._~` and slashes, which may stand in the path and the query of a URL (RFC 3986, section 3.4).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

pub(super) fn percent_encode(text: &OsStr) -> impl Display {
    percent_encoding::percent_encode(text.as_bytes(), RESERVED)
}
