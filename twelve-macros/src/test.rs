//! `#[twelve::test]`: an `async fn` run as a test against an app of its own.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Attribute, Error, FnArg, ItemFn, Path, Signature};

use crate::faults::Faults;

/// Expands to a plain test around the function, or to what is wrong.
pub(crate) fn expand(argument: &TokenStream, item: &TokenStream) -> TokenStream {
    match parse(argument, item) {
        Ok(test) => expand_test(&test),
        Err(error) => {
            // With the item kept, names in it still resolve, and editors still complete in its body.
            let error = error.to_compile_error();
            quote!(#error #item)
        }
    }
}

/// A function that can be run as a test.
struct Test {
    app: Path,
    function: ItemFn,
}

fn parse(argument: &TokenStream, item: &TokenStream) -> syn::Result<Test> {
    let mut faults = Faults::default();
    let function: ItemFn = syn::parse2(item.clone())
        .map_err(|fault| Error::new(fault.span(), "`#[twelve::test]` belongs on an `async fn`"))?;
    let app = faults.record(parse_app(argument));
    check_signature(&function.sig, &mut faults);
    check_attributes(&function.attrs, &mut faults);
    let app = app.unwrap_or_else(default_app);
    faults.finish(Test { app, function })
}

fn parse_app(argument: &TokenStream) -> syn::Result<Path> {
    if argument.is_empty() {
        return Ok(default_app());
    }
    let message =
        "`#[twelve::test]` takes the path of a `fn() -> App`, or nothing for `crate::app`";
    syn::parse2(argument.clone()).map_err(|_| Error::new_spanned(argument, message))
}

fn default_app() -> Path {
    syn::parse_quote!(crate::app)
}

fn check_signature(signature: &Signature, faults: &mut Faults) {
    if signature.asyncness.is_none() {
        let message = "a test is an `async fn`";
        faults.push(Error::new_spanned(signature.fn_token, message));
    }
    if !signature.generics.params.is_empty() {
        let message = "a test has no generic parameters";
        faults.push(Error::new_spanned(&signature.generics, message));
    }
    if let Some(unsafety) = &signature.unsafety {
        faults.push(Error::new_spanned(unsafety, "a test is safe to call"));
    }
    if let Some(receiver @ FnArg::Receiver(_)) = signature.inputs.first() {
        let message = "a test is a free function, without `self`";
        faults.push(Error::new_spanned(receiver, message));
    } else if let Some(second) = signature.inputs.iter().nth(1) {
        let message = "a test takes one `TestApp`, or nothing";
        faults.push(Error::new_spanned(second, message));
    }
}

/// Reports a second attribute that makes the function a test, which would run it twice or not compile.
fn check_attributes(attributes: &[Attribute], faults: &mut Faults) {
    for attribute in attributes {
        let last = attribute.path().segments.last();
        if last.is_some_and(|segment| segment.ident == "test") {
            let message = "`#[twelve::test]` makes the function a test already";
            faults.push(Error::new_spanned(attribute, message));
        }
    }
}

fn expand_test(test: &Test) -> TokenStream {
    let Test { app, function } = test;
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
    } = function;
    let Signature {
        ident,
        inputs,
        output,
        ..
    } = sig;
    let name = ident.unraw().to_string();
    let body = if inputs.is_empty() {
        quote!(|_| #ident())
    } else {
        quote!(#ident)
    };
    quote! {
        #[::core::prelude::v1::test]
        #(#attrs)*
        #vis fn #ident() #output {
            async fn #ident(#inputs) #output #block
            ::twelve::__private::run_test(
                #app,
                ::core::concat!(::core::module_path!(), "::", #name),
                #body,
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::messages;

    fn faults(argument: &str, item: &str) -> Vec<String> {
        let (argument, item) = (argument.parse().unwrap(), item.parse().unwrap());
        messages(parse(&argument, &item))
    }

    fn expanded(argument: &str, item: &str) -> String {
        let (argument, item) = (argument.parse().unwrap(), item.parse().unwrap());
        expand(&argument, &item).to_string()
    }

    #[test]
    fn a_test_runs_in_an_app_of_its_own() {
        let output = expand(
            &TokenStream::new(),
            &quote! {
                /// Why.
                #[ignore = "slow"]
                pub async fn orders_are_listed(mut app: TestApp) -> Result<()> {
                    app.get("/orders").await
                }
            },
        );
        let expected = quote! {
            #[::core::prelude::v1::test]
            /// Why.
            #[ignore = "slow"]
            pub fn orders_are_listed() -> Result<()> {
                async fn orders_are_listed(mut app: TestApp) -> Result<()> {
                    app.get("/orders").await
                }
                ::twelve::__private::run_test(
                    crate::app,
                    ::core::concat!(::core::module_path!(), "::", "orders_are_listed"),
                    orders_are_listed,
                )
            }
        };
        assert_eq!(output.to_string(), expected.to_string());
    }

    #[test]
    fn a_test_may_ignore_its_app_and_name_another() {
        let output = expanded("shop::app", "async fn it_works() {}");
        assert!(output.contains("run_test (shop :: app ,"), "{output}");
        assert!(output.contains(", | _ | it_works ()"), "{output}");
    }

    #[test]
    fn a_test_is_an_async_fn_of_at_most_an_app() {
        let found = faults("\"app\"", "#[test] unsafe fn it<T>(a: A, b: B) {}");
        assert_eq!(
            found,
            [
                "`#[twelve::test]` takes the path of a `fn() -> App`, or nothing for `crate::app`",
                "a test is an `async fn`",
                "a test has no generic parameters",
                "a test is safe to call",
                "a test takes one `TestApp`, or nothing",
                "`#[twelve::test]` makes the function a test already",
            ]
        );
        let found = faults("", "async fn it(self) {}");
        assert_eq!(found, ["a test is a free function, without `self`"]);
        let found = faults("", "struct It;");
        assert_eq!(found, ["`#[twelve::test]` belongs on an `async fn`"]);
    }

    #[test]
    fn a_faulty_test_keeps_its_function() {
        let output = expanded("", "fn it() {}");
        assert!(output.contains("compile_error"), "{output}");
        assert!(output.ends_with("fn it () { }"), "{output}");
    }
}
