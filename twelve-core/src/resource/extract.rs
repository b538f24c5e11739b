//! `Res<T>` as an argument of handlers.

use std::any::{TypeId, type_name};

use super::{Res, Resource};
use crate::{
    error::Error,
    handler::{Argument, Context, FromContext, Needs, Run, extractable},
};

impl<K: Send + Sync + 'static, T: Resource> FromContext<K> for Res<T> {
    fn needs(needs: &mut Needs) {
        needs.add::<Self>();
    }

    async fn from_context(run: &Run<K>) -> Result<Self, Error> {
        run.context().resource().await
    }
}

extractable!(impl<T: Resource> for Res<T>);

impl Argument {
    /// The `T` of a `Res<T>`.
    #[must_use]
    pub fn resource(&self) -> Option<&'static str> {
        self.inside(type_name::<Res<()>>())
    }
}

impl Context {
    /// The resource `T`; builds it on first use, once, however many ask.
    ///
    /// # Errors
    ///
    /// `T` is not registered, or its function failed; a failure is shared and kept for a second.
    pub async fn resource<T: Resource>(&self) -> Result<Res<T>, Error> {
        let registry = self.registry();
        let spec = registry
            .resource_spec(TypeId::of::<Res<T>>())
            .ok_or_else(|| {
                let name = type_name::<T>();
                Error::configuration(format!(
                    "`Res<{name}>` is taken but not registered: add `.resource(…)` to the app"
                ))
            })?;
        spec.value(self).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Conf;

    #[test]
    fn an_argument_tells_what_it_wraps() {
        assert_eq!(Argument::of::<Res<u8>>().resource(), Some("u8"));
        assert_eq!(
            Argument::of::<Conf<Option<u8>>>().config(),
            Some("core::option::Option<u8>")
        );
        assert_eq!(Argument::of::<Conf<u8>>().resource(), None);
    }
}
