//! `derive(Config)`: a struct read from environment variables, one per field.

mod expand;
mod setting;

use std::collections::HashMap;

use proc_macro2::TokenStream;
use syn::{Data, DeriveInput, Error, Fields, FieldsNamed};

use crate::faults::Faults;
use crate::{attribute, fallback, shape};
use setting::{Setting, Source};

/// Expands to the impl of `Config`, or to what is wrong.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    match parse(input) {
        Ok(settings) => expand::expand(&input.ident, &settings),
        Err(error) => fallback::config(input, &error),
    }
}

fn parse(input: &DeriveInput) -> syn::Result<Vec<Setting<'_>>> {
    let mut faults = Faults::default();
    faults.record(shape::check_concrete(input, "Config"));
    attribute::refuse(&input.attrs, "config", "a field", &mut faults);
    let mut settings = Vec::new();
    if let Some(fields) = faults.record(named_fields(input)) {
        for field in &fields.named {
            settings.extend(Setting::parse(field, &mut faults));
        }
    }
    check_distinct(&settings, &mut faults);
    faults.finish(settings)
}

fn named_fields(input: &DeriveInput) -> syn::Result<&FieldsNamed> {
    if let Data::Struct(data) = &input.data
        && let Fields::Named(fields) = &data.fields
    {
        return Ok(fields);
    }
    let message = "`derive(Config)` works on structs with named fields only";
    Err(Error::new_spanned(&input.ident, message))
}

/// Reports fields that would read each other's variable.
///
/// Only within one struct: two structs may well read the same variable, each for its own handlers.
fn check_distinct(settings: &[Setting<'_>], faults: &mut Faults) {
    let mut readers = HashMap::new();
    for setting in settings {
        let Source::Variable(variable) = &setting.source else {
            continue;
        };
        if let Some(other) = readers.insert(&variable.name, setting.name) {
            let message = format!("`{}` is read by `{other}` already", variable.name);
            faults.push(Error::new_spanned(setting.name, message));
        }
    }
    // Any variable may be given as a file instead, whose path stands in the variable with this ending.
    for setting in settings {
        if let Source::Variable(variable) = &setting.source
            && let Some(other) = readers.get(&format!("{}_FILE", variable.name))
        {
            let message = format!(
                "`{0}_FILE` is the path of a file that holds `{0}`: choose another variable",
                variable.name
            );
            faults.push(Error::new_spanned(other, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::messages;

    fn faults(input: &DeriveInput) -> Vec<String> {
        messages(parse(input))
    }

    #[test]
    fn only_structs_with_named_fields_are_read() {
        let inputs: [DeriveInput; 4] = [
            syn::parse_quote!(
                enum A {
                    B { c: u8 },
                }
            ),
            syn::parse_quote!(
                union A {
                    b: u8,
                }
            ),
            syn::parse_quote!(
                struct A(u8);
            ),
            syn::parse_quote!(
                struct A;
            ),
        ];
        for input in &inputs {
            let message = "`derive(Config)` works on structs with named fields only";
            assert_eq!(faults(input), [message]);
        }
        assert!(
            faults(&syn::parse_quote!(
                struct A {}
            ))
            .is_empty()
        );
    }

    #[test]
    fn every_fault_of_a_struct_is_reported() {
        let found = faults(&syn::parse_quote! {
            #[config(env = "A")]
            struct Settings<T> {
                #[config(evn = "A")]
                a: T,
                #[config(env = "b")]
                b: String,
                #[config(default = "c")]
                c: Option<String>,
            }
        });
        assert_eq!(found.len(), 5);
        assert_eq!(
            found[0],
            "`derive(Config)` does not support generic parameters"
        );
        assert_eq!(found[1], "`#[config]` belongs on a field");
    }

    #[test]
    fn two_fields_do_not_read_one_variable() {
        let found = faults(&syn::parse_quote! {
            struct Settings {
                payments_url: Url,
                #[config(env = "PAYMENTS_URL")]
                billing_url: Url,
            }
        });
        assert_eq!(found, ["`PAYMENTS_URL` is read by `payments_url` already"]);
    }

    #[test]
    fn a_field_does_not_read_the_file_of_another() {
        let found = faults(&syn::parse_quote! {
            struct Settings {
                tls_key_file: PathBuf,
                tls_key: String,
                tls_chain_file: PathBuf,
            }
        });
        let message =
            "`TLS_KEY_FILE` is the path of a file that holds `TLS_KEY`: choose another variable";
        assert_eq!(found, [message]);
    }
}
