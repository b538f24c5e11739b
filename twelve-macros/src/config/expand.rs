//! The impl of `Config`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

use super::setting::{Conversion, Setting, Source, Variable};

/// Writes the impl: first every read, so that every fault is found, then the construction.
pub(super) fn expand(name: &Ident, settings: &[Setting<'_>]) -> TokenStream {
    // These names are hygienic, so that no macro around the struct can catch them.
    let reader = Ident::new("reader", Span::mixed_site());
    let values: Vec<_> = (0..settings.len())
        .map(|index| format_ident!("value_{index}", span = Span::mixed_site()))
        .collect();
    let reads = settings.iter().map(|setting| read(setting, &reader));
    let fields = settings.iter().map(|setting| setting.name);
    quote! {
        #[automatically_derived]
        #[allow(unused_variables)]
        impl ::twelve::__private::Config for #name {
            fn load(
                #reader: &mut ::twelve::__private::Reader<'_>,
            ) -> ::core::option::Option<Self> {
                #(let #values = #reads;)*
                ::core::option::Option::Some(Self { #(#fields: #values?,)* })
            }
        }
    }
}

/// Writes one read, placed at the field's type, where an unreadable type is then reported.
fn read(setting: &Setting<'_>, reader: &Ident) -> TokenStream {
    let ty = setting.ty;
    let span = ty.span().resolved_at(Span::mixed_site());
    let Source::Variable(Variable {
        name,
        default,
        doc,
        conversion,
    }) = &setting.source
    else {
        return quote_spanned!(span=> <#ty as ::twelve::__private::Config>::load(#reader));
    };
    let default = if let Some(text) = default {
        quote!(::core::option::Option::Some(#text))
    } else {
        quote!(::core::option::Option::None)
    };
    let method = match conversion {
        Conversion::Value => format_ident!("read", span = span),
        Conversion::FromStr => format_ident!("read_from_str", span = span),
    };
    quote_spanned!(span=> #reader.#method::<#ty>(#name, #default, #doc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_reads_come_before_the_construction() {
        let output = crate::config::derive(&syn::parse_quote! {
            struct Settings {
                /// Where payments
                /// are made.
                #[config(env = "PAY_URL", default = "http://pay")]
                payments_url: Url,
                #[config(from_str)]
                level: Level,
                #[config(nested)]
                mail: Mail,
            }
        });
        let expected = quote! {
            #[automatically_derived]
            #[allow(unused_variables)]
            impl ::twelve::__private::Config for Settings {
                fn load(
                    reader: &mut ::twelve::__private::Reader<'_>,
                ) -> ::core::option::Option<Self> {
                    let value_0 = reader.read::<Url>(
                        "PAY_URL",
                        ::core::option::Option::Some("http://pay"),
                        "Where payments are made."
                    );
                    let value_1 = reader.read_from_str::<Level>(
                        "LEVEL",
                        ::core::option::Option::None,
                        ""
                    );
                    let value_2 = <Mail as ::twelve::__private::Config>::load(reader);
                    ::core::option::Option::Some(Self {
                        payments_url: value_0?,
                        level: value_1?,
                        mail: value_2?,
                    })
                }
            }
        };
        assert_eq!(output.to_string(), expected.to_string());
    }

    #[test]
    fn a_faulty_struct_still_gets_an_impl() {
        let output = crate::config::derive(&syn::parse_quote!(
            struct Settings(u8);
        ));
        let output = output.to_string();
        assert!(output.contains("compile_error"), "{output}");
        assert!(output.contains("Config for Settings"), "{output}");
    }
}
