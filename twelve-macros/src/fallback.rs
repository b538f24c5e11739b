//! What a failed derive expands to: its errors, and impls that keep them alone on the screen.
//!
//! Without an impl, every handler that takes the type would report that the trait is missing, and bury the cause.
//! The bodies never run, because the errors beside them fail the build.

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::from_context::impls::{self, Bodies};

/// Stands in for `derive(Config)`.
pub(crate) fn config(input: &DeriveInput, error: &syn::Error) -> TokenStream {
    let name = &input.ident;
    beside(
        input,
        error,
        &quote! {
            #[automatically_derived]
            impl ::twelve::__private::Config for #name {
                fn load(
                    _: &mut ::twelve::__private::Reader<'_>,
                ) -> ::core::option::Option<Self> {
                    ::core::unimplemented!()
                }
            }
        },
    )
}

/// Stands in for `derive(Job)`.
pub(crate) fn job(input: &DeriveInput, error: &syn::Error) -> TokenStream {
    let name = &input.ident;
    beside(
        input,
        error,
        &quote! {
            #[automatically_derived]
            impl ::twelve::__private::Job for #name {
                const KIND: &'static str = "";
                const ALIASES: &'static [&'static str] = &[];
                fn policy() -> ::twelve::__private::Policy {
                    ::core::unimplemented!()
                }
            }
        },
    )
}

/// Stands in for `derive(Mail)`.
pub(crate) fn mail(input: &DeriveInput, error: &syn::Error) -> TokenStream {
    let name = &input.ident;
    beside(
        input,
        error,
        &quote! {
            #[automatically_derived]
            impl ::twelve::__private::Mail for #name {
                const NAME: &'static str = "";
                fn render(
                    &self,
                ) -> ::core::result::Result<::twelve::__private::Rendered, ::twelve::__private::Error> {
                    ::core::unimplemented!()
                }
            }
        },
    )
}

/// Stands in for `derive(FromContext)`.
pub(crate) fn from_context(input: &DeriveInput, error: &syn::Error) -> TokenStream {
    let impls = impls::of(
        &input.ident,
        &[],
        &Bodies {
            needs: TokenStream::new(),
            from_context: quote!(::core::unimplemented!()),
        },
    );
    beside(input, error, &impls)
}

/// The errors, with `impls` where they can hold.
///
/// A generic type gets none: the bounds that the trait asks of its parameters are not known here, and wrong ones are one more error.
fn beside(input: &DeriveInput, error: &syn::Error, impls: &TokenStream) -> TokenStream {
    let error = error.to_compile_error();
    if input.generics.params.is_empty() {
        quote!(#error #impls)
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &DeriveInput) -> [String; 4] {
        let error = syn::Error::new_spanned(&input.ident, "no good");
        [config, job, mail, from_context].map(|fallback| fallback(input, &error).to_string())
    }

    #[test]
    fn a_fallback_carries_the_error_and_an_impl() {
        for output in all(&syn::parse_quote!(
            struct A;
        )) {
            assert!(
                output.contains("compile_error ! { \"no good\" }"),
                "{output}"
            );
            assert!(output.contains("for A"), "{output}");
        }
    }

    #[test]
    fn a_generic_type_gets_the_error_alone() {
        for output in all(&syn::parse_quote!(
            struct A<T>(T);
        )) {
            assert!(
                output.contains("compile_error ! { \"no good\" }"),
                "{output}"
            );
            assert!(!output.contains("impl"), "{output}");
        }
    }
}
