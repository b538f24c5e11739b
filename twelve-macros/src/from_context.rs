//! `derive(FromContext)`: a struct of extractors as an extractor.

pub(crate) mod impls;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{DeriveInput, Fields};

use crate::faults::Faults;
use crate::{fallback, shape};
use impls::{Bodies, hygienic};

/// Expands to the impls of `FromContext` and `FromRequestParts`, or to what is wrong.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    match parse(input) {
        Ok(fields) => expand(&input.ident, fields),
        Err(error) => fallback::from_context(input, &error),
    }
}

fn parse(input: &DeriveInput) -> syn::Result<&Fields> {
    let mut faults = Faults::default();
    faults.record(shape::check_concrete(input, "FromContext"));
    match faults.record(shape::struct_fields(input, "FromContext")) {
        Some(fields) => faults.finish(fields),
        None => faults.finish(&Fields::Unit),
    }
}

fn expand(name: &Ident, fields: &Fields) -> TokenStream {
    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let needs = hygienic("needs");
    let run = hygienic("run");
    // `Self { 0: …, 1: … }` builds a tuple struct, so all three kinds of struct are written alike.
    let members = fields.members();
    let bodies = Bodies {
        needs: quote! {
            #(<#types as ::twelve::__private::FromContext<__K>>::needs(#needs);)*
        },
        from_context: quote! {
            ::core::result::Result::Ok(Self {
                #(#members: <#types as ::twelve::__private::FromContext<__K>>::from_context(#run).await?,)*
            })
        },
    };
    impls::of(name, &types, &bodies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::messages;

    #[test]
    fn every_field_is_extracted_in_order() {
        let output = derive(&syn::parse_quote! {
            struct Customer {
                session: Session,
                db: Db,
            }
        });
        let expected = quote! {
            #[automatically_derived]
            #[allow(unused_variables)]
            impl<__K> ::twelve::__private::FromContext<__K> for Customer
            where
                __K: ::core::marker::Send + ::core::marker::Sync + 'static,
                Session: ::twelve::__private::FromContext<__K>,
                Db: ::twelve::__private::FromContext<__K>,
            {
                fn needs(needs: &mut ::twelve::__private::Needs) {
                    <Session as ::twelve::__private::FromContext<__K>>::needs(needs);
                    <Db as ::twelve::__private::FromContext<__K>>::needs(needs);
                }

                async fn from_context(
                    run: &::twelve::__private::Run<__K>,
                ) -> ::core::result::Result<Self, ::twelve::__private::Error> {
                    ::core::result::Result::Ok(Self {
                        session: <Session as ::twelve::__private::FromContext<__K>>::from_context(run).await?,
                        db: <Db as ::twelve::__private::FromContext<__K>>::from_context(run).await?,
                    })
                }
            }

            #[automatically_derived]
            impl<__S> ::twelve::__private::FromRequestParts<__S> for Customer
            where
                __S: ::core::marker::Send + ::core::marker::Sync,
                ::twelve::__private::Context: ::twelve::__private::FromRef<__S>,
                for<'__deferred> Session: ::twelve::__private::FromContext<::twelve::__private::Request>,
                for<'__deferred> Db: ::twelve::__private::FromContext<::twelve::__private::Request>,
            {
                type Rejection = ::twelve::__private::Error;

                async fn from_request_parts(
                    parts: &mut ::twelve::__private::Parts,
                    state: &__S,
                ) -> ::core::result::Result<Self, Self::Rejection> {
                    let run = ::twelve::__private::Run::request(parts, state);
                    <Self as ::twelve::__private::FromContext<::twelve::__private::Request>>::from_context(&run).await
                }
            }
        };
        assert_eq!(output.to_string(), expected.to_string());
    }

    #[test]
    fn tuple_and_unit_structs_are_built_alike() {
        let output = derive(&syn::parse_quote!(
            struct Pair(Db, Jobs);
        ))
        .to_string();
        let first = quote!(0: <Db as ::twelve::__private::FromContext<__K>>).to_string();
        assert!(output.contains(&first), "{output}");
        let output = derive(&syn::parse_quote!(
            struct Nothing;
        ))
        .to_string();
        assert!(
            output.contains(&quote!(Ok(Self {})).to_string()),
            "{output}"
        );
    }

    #[test]
    fn only_structs_without_parameters_are_extracted() {
        let message = "`derive(FromContext)` works on structs only";
        assert_eq!(
            messages(parse(&syn::parse_quote!(
                enum A {
                    B(Db),
                }
            ))),
            [message]
        );
        let message = "`derive(FromContext)` does not support generic parameters";
        assert_eq!(
            messages(parse(&syn::parse_quote!(
                struct A<T>(T);
            ))),
            [message]
        );
    }
}
