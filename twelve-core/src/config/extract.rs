//! `Conf<T>` as an argument of handlers.

use std::any::{TypeId, type_name};

use super::{Conf, Config};
use crate::{
    error::Error,
    handler::{Argument, Context, FromContext, Needs, Run, extractable},
};

impl<K: Send + Sync + 'static, T: Config> FromContext<K> for Conf<T> {
    fn needs(needs: &mut Needs) {
        needs.add::<Self>();
    }

    async fn from_context(run: &Run<K>) -> Result<Self, Error> {
        run.context().conf()
    }
}

extractable!(impl<T: Config> for Conf<T>);

impl Argument {
    /// The `T` of a `Conf<T>`.
    #[must_use]
    pub fn config(&self) -> Option<&'static str> {
        self.inside(type_name::<Conf<()>>())
    }
}

impl Context {
    /// The configuration `T`.
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] when `T` is not registered, or a variable is wrong.
    pub fn conf<T: Config>(&self) -> Result<Conf<T>, Error> {
        let registry = self.registry();
        let spec = registry.config_spec(TypeId::of::<Conf<T>>()).ok_or_else(|| {
            let name = type_name::<T>();
            Error::configuration(format!(
                "`Conf<{name}>` is taken but not registered: add `.config::<{name}>()` to the app"
            ))
        })?;
        spec.value(self.environment())
    }
}
