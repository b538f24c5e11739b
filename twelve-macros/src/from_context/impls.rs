//! The impls of `FromContext` and `FromRequestParts`, whether a derive has succeeded or failed.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::Type;

/// What the methods of the impls consist of.
pub(crate) struct Bodies {
    /// Of `needs`, with `needs` at hand.
    pub(crate) needs: TokenStream,
    /// Of `from_context`, with `run` at hand.
    pub(crate) from_context: TokenStream,
}

/// Writes both impls, each of which holds wherever those of the fields do.
///
/// The second one asks for `FromContext<Request>` of every field, so that a struct with an extractor for jobs alone is one for jobs alone, too.
/// The price is that a field which is no extractor anywhere is reported where the struct is used, not where it is derived.
pub(crate) fn of(name: &Ident, types: &[&Type], bodies: &Bodies) -> TokenStream {
    let Bodies {
        needs,
        from_context,
    } = bodies;
    let [needs_argument, run, parts, state] = ["needs", "run", "parts", "state"].map(hygienic);
    quote! {
        #[automatically_derived]
        #[allow(unused_variables)]
        impl<__K> ::twelve::__private::FromContext<__K> for #name
        where
            __K: ::core::marker::Send + ::core::marker::Sync + 'static,
            #(#types: ::twelve::__private::FromContext<__K>,)*
        {
            fn needs(#needs_argument: &mut ::twelve::__private::Needs) {
                #needs
            }

            async fn from_context(
                #run: &::twelve::__private::Run<__K>,
            ) -> ::core::result::Result<Self, ::twelve::__private::Error> {
                #from_context
            }
        }

        #[automatically_derived]
        impl<__S> ::twelve::__private::FromRequestParts<__S> for #name
        where
            __S: ::core::marker::Send + ::core::marker::Sync,
            ::twelve::__private::Context: ::twelve::__private::FromRef<__S>,
            // A bound without parameters must hold at once; this lifetime defers it to the use.
            #(for<'__deferred> #types: ::twelve::__private::FromContext<::twelve::__private::Request>,)*
        {
            type Rejection = ::twelve::__private::Error;

            async fn from_request_parts(
                #parts: &mut ::twelve::__private::Parts,
                #state: &__S,
            ) -> ::core::result::Result<Self, Self::Rejection> {
                let #run = ::twelve::__private::Run::request(#parts, #state);
                <Self as ::twelve::__private::FromContext<::twelve::__private::Request>>::from_context(&#run).await
            }
        }
    }
}

/// A local name that no macro around the struct can catch.
pub(super) fn hygienic(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
