//! Which items the derives accept.

use syn::{Data, DeriveInput, Error, Fields, Type};

/// Checks that the type has no generics.
///
/// # Errors
///
/// Points at the parameters.
pub(crate) fn check_concrete(input: &DeriveInput, derive: &str) -> syn::Result<()> {
    if input.generics.params.is_empty() {
        return Ok(());
    }
    let message = format!("`derive({derive})` does not support generic parameters");
    Err(Error::new_spanned(&input.generics.params, message))
}

/// The fields of a struct.
///
/// # Errors
///
/// Points at the name of what is not a struct.
pub(crate) fn struct_fields<'a>(input: &'a DeriveInput, derive: &str) -> syn::Result<&'a Fields> {
    match &input.data {
        Data::Struct(data) => Ok(&data.fields),
        Data::Enum(_) | Data::Union(_) => {
            let message = format!("`derive({derive})` works on structs only");
            Err(Error::new_spanned(&input.ident, message))
        }
    }
}

/// Whether the type is spelled `Option<…>`, under whichever path.
pub(crate) fn is_option(ty: &Type) -> bool {
    match ty {
        // A type that went through `macro_rules` comes wrapped in an invisible group.
        Type::Group(group) => is_option(&group.elem),
        Type::Paren(paren) => is_option(&paren.elem),
        Type::Path(path) => path.path.segments.last().is_some_and(|segment| {
            segment.ident == "Option" && !matches!(segment.arguments, syn::PathArguments::None)
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::messages;

    #[test]
    fn every_kind_of_parameter_is_generic() {
        assert!(
            check_concrete(
                &syn::parse_quote!(
                    struct A;
                ),
                "Job"
            )
            .is_ok()
        );
        let inputs: [DeriveInput; 3] = [
            syn::parse_quote!(
                struct A<T>(T);
            ),
            syn::parse_quote!(
                struct A<'a>(&'a str);
            ),
            syn::parse_quote!(
                struct A<const N: usize>;
            ),
        ];
        for input in inputs {
            let message = "`derive(Job)` does not support generic parameters";
            assert_eq!(messages(check_concrete(&input, "Job")), [message]);
        }
    }

    #[test]
    fn an_option_is_known_by_its_spelling() {
        let options: [Type; 3] = [
            syn::parse_quote!(Option<u8>),
            syn::parse_quote!((std::option::Option<u8>)),
            syn::parse_quote!(::core::option::Option<Vec<u8>>),
        ];
        assert!(options.iter().all(is_option));
        let others: [Type; 3] = [
            syn::parse_quote!(Vec<Option<u8>>),
            syn::parse_quote!(Option),
            syn::parse_quote!([Option<u8>; 2]),
        ];
        assert!(!others.iter().any(is_option));
    }
}
