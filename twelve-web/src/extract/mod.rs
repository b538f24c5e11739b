//! Extractors of our own: they take what axum's take, and refuse with a problem document.

mod json;
mod path;
mod query;

pub use json::Json;
pub use path::Path;
pub use query::Query;

use std::error::Error;

/// The innermost cause says what is wrong with the input; the texts around it only say where it was noticed.
fn cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
