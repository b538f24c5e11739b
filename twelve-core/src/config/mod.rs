//! Configuration: from the environment only, checked whole before a port is bound.
//!
//! ```text
//! Environment ──► Reader ──► Config::load ──► Conf<T>
//!                   └──► every variable it was asked for, with source and fault
//! ```
//!
//! One pass over [`Config::load`] both builds the value and records what was read.
//! So the listing of `myapp config`, the error that names every wrong variable, and the value itself cannot disagree.

mod conf;
mod environment;
mod extract;
mod reader;
mod secret;
mod value;

pub use conf::Conf;
pub(crate) use conf::ConfigSpec;
pub use environment::Environment;
pub use reader::{Faults, Origin, Reader, Variable};
pub use secret::Secret;
pub(crate) use value::HIDDEN;
pub use value::Value;

use crate::error::Error;

/// A group of variables: derive it.
///
/// Every field is one variable.
/// It is read from the environment under its name, or from the file that `NAME_FILE` names (how Docker and systemd hand secrets over).
/// A variable that is set to nothing counts as not set.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a configuration",
    label = "not a configuration",
    note = "add `#[derive(twelve::Config)]` to `{Self}`"
)]
pub trait Config: Sized + Send + Sync + 'static {
    /// Reads every variable, then builds the value; `None` when one of them is wrong.
    ///
    /// All reads come before the first `?`, so that the reader hears of every fault.
    fn load(reader: &mut Reader<'_>) -> Option<Self>;
}

impl Environment {
    /// Reads a whole configuration.
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] with `message`, and every variable that is wrong as its cause.
    pub fn load<T: Config>(&self, message: &'static str) -> Result<T, Error> {
        let mut reader = Reader::new(self);
        let config = T::load(&mut reader);
        config.ok_or_else(|| {
            let error = Error::configuration(message);
            match Faults::among(reader.into_variables()) {
                Some(faults) => error.with_source(faults),
                None => error,
            }
        })
    }
}
