//! What a feature brings that is off: the names are there, so that the compiler can say which feature is missing.
//!
//! Through the prelude it could only say that it cannot find the name.
//! Using such a name is a warning that names the feature, and taking it as an argument is an error that does.
//! Paths such as `twelve::web::ws` need nothing of this: the compiler finds what is gated behind them.

#![allow(deprecated, reason = "the warning is for the author of the app")]

/// Types that no value has and no handler can take.
macro_rules! absent {
    ($feature:ident: $($name:ident)*; $note:literal) => {
        $(
            /// The feature is off.
            #[derive(Debug)]
            #[deprecated(note = $note)]
            pub struct $name(());

            impl<K> twelve_core::FromContext<K> for $name
            where
                Self: $feature<K>,
            {
                fn from_context(
                    _: &twelve_core::Run<K>,
                ) -> impl Future<Output = twelve_core::Result<Self, twelve_core::Error>> + Send {
                    std::future::ready(Ok(Self::absent()))
                }
            }

            impl<S> axum::extract::FromRequestParts<S> for $name
            where
                Self: $feature<S>,
            {
                type Rejection = twelve_core::Error;

                fn from_request_parts(
                    _: &mut axum::http::request::Parts,
                    _: &S,
                ) -> impl Future<Output = Result<Self, Self::Rejection>> + Send {
                    std::future::ready(Ok(Self::absent()))
                }
            }
        )*
    };
}

#[cfg(not(feature = "redis"))]
pub use redis::{Redis, RedisConnection};

#[cfg(not(feature = "redis"))]
mod redis {
    /// Holds for nothing.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` needs the feature `redis` of twelve",
        label = "the feature is off",
        note = "in `Cargo.toml`: twelve = {{ …, features = [\"redis\"] }}"
    )]
    pub trait RedisFeature<K> {
        /// A value that nobody can make.
        fn absent() -> Self;
    }

    absent! {
        RedisFeature: Redis RedisConnection;
        "it needs the feature `redis` of twelve, in `Cargo.toml`: twelve = { …, features = [\"redis\"] }"
    }
}

#[cfg(not(feature = "mail"))]
pub use mail::{Attachment, Mailer, Preview};

#[cfg(not(feature = "mail"))]
mod mail {
    /// Holds for nothing.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` needs the feature `mail` of twelve",
        label = "the feature is off",
        note = "in `Cargo.toml`: twelve = {{ …, features = [\"mail\"] }}"
    )]
    pub trait MailFeature<K> {
        /// A value that nobody can make.
        fn absent() -> Self;
    }

    absent! {
        MailFeature: Attachment Mailer;
        "it needs the feature `mail` of twelve, in `Cargo.toml`: twelve = { …, features = [\"mail\"] }"
    }

    /// As the real one, so that its implementation is no second mistake.
    #[deprecated(
        note = "it needs the feature `mail` of twelve, in `Cargo.toml`: twelve = { …, features = [\"mail\"] }"
    )]
    pub trait Preview: Sized {
        /// An example.
        fn preview() -> Self;
    }
}
