//! `derive(Mail)`: a struct as a mail, its templates filled in from its fields.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{DeriveInput, Error, Fields, LitStr};

use crate::attribute::{self, Entry};
use crate::faults::Faults;
use crate::{fallback, shape};

const KEYS: [&str; 5] = ["subject", "text", "html", "from", "name"];

const ROLES: [&str; 5] = ["to", "cc", "bcc", "reply_to", "attach"];

/// Expands to the impl of `Mail`, or to what is wrong.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    match parse(input) {
        Ok(mail) => expand(&input.ident, &mail),
        Err(error) => fallback::mail(input, &error),
    }
}

/// What `#[mail(…)]` says on the struct and on its fields.
#[derive(Default)]
struct Mail {
    name: Option<String>,
    from: Option<String>,
    subject: Option<LitStr>,
    text: Option<LitStr>,
    html: Option<LitStr>,
    /// The fields with what they are marked as.
    marked: Vec<(&'static str, Ident)>,
}

fn parse(input: &DeriveInput) -> syn::Result<Mail> {
    let mut faults = Faults::default();
    let mut mail = Mail::default();
    faults.record(shape::check_concrete(input, "Mail"));
    let entries = attribute::read(&input.attrs, "mail", &KEYS, &mut faults);
    let Some(entries) = faults.record(entries) else {
        return faults.finish(mail);
    };
    for entry in &entries {
        read_entry(&mut mail, entry, &mut faults);
    }
    let has = |key| entries.iter().any(|entry| entry.key() == key);
    if !has("subject") {
        let message = "a mail has a subject: `#[mail(subject = \"…\")]`, a template itself";
        faults.push(Error::new_spanned(&input.ident, message));
    }
    if !has("text") {
        let message = "a mail has a text: `#[mail(text = \"….txt\")]` names a template in `templates/`; not everybody reads HTML, and filters distrust a mail without";
        faults.push(Error::new_spanned(&input.ident, message));
    }
    if let Some(fields) = faults.record(shape::struct_fields(input, "Mail")) {
        read_fields(&mut mail, input, fields, &mut faults);
    }
    faults.finish(mail)
}

fn read_entry(mail: &mut Mail, entry: &Entry, faults: &mut Faults) {
    let text = faults.record(entry.text());
    match entry.key() {
        "subject" => mail.subject = text,
        "text" => mail.text = text,
        "html" => mail.html = text,
        "from" => mail.from = text.and_then(|text| faults.record(address(&text))),
        _ => mail.name = text.and_then(|text| faults.record(name(&text))),
    }
}

fn read_fields(mail: &mut Mail, input: &DeriveInput, fields: &Fields, faults: &mut Faults) {
    let Fields::Named(fields) = fields else {
        let message = "the fields of a mail are named: its templates call them by their names";
        faults.push(Error::new_spanned(&input.ident, message));
        return;
    };
    for field in &fields.named {
        let entries = attribute::read(&field.attrs, "mail", &ROLES, faults);
        for entry in faults.record(entries).into_iter().flatten() {
            faults.record(entry.flag());
            let role = ROLES.into_iter().find(|role| *role == entry.key());
            mail.marked.extend(role.zip(field.ident.clone()));
        }
    }
    if !mail.marked.iter().any(|(role, _)| *role == "to") {
        let message =
            "a mail goes to somebody: mark the field that holds the address `#[mail(to)]`";
        faults.push(Error::new_spanned(&input.ident, message));
    }
}

/// The name stands in listings and on the command line.
fn name(text: &LitStr) -> syn::Result<String> {
    let name = text.value();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if !name.is_empty() && name.len() <= 64 && name.chars().all(is_plain) {
        return Ok(name);
    }
    let message = format!("`{name}` is not a name: write 1 to 64 ASCII letters, digits, `_`, `-`");
    Err(Error::new_spanned(text, message))
}

/// Only what is certainly wrong: the address is read whole where the mail is delivered.
fn address(text: &LitStr) -> syn::Result<String> {
    let address = text.value();
    let is_one_line = !address.chars().any(char::is_control);
    if is_one_line && address.contains('@') {
        return Ok(address);
    }
    let message = "`from` is an address: `shop@example.org` or `Shop <shop@example.org>`";
    Err(Error::new_spanned(text, message))
}

fn expand(ident: &Ident, mail: &Mail) -> TokenStream {
    let name = mail.name.clone().unwrap_or_else(|| ident.to_string());
    let subject = mail.subject.iter().map(|source| {
        let keys = quote!(source = #source, ext = "txt", escape = "none");
        template(ident, "__Subject", source, &keys)
    });
    let text = mail.text.iter().map(|path| {
        let keys = quote!(path = #path, escape = "none");
        template(ident, "__Text", path, &keys)
    });
    let html = mail.html.iter().map(|path| {
        let keys = quote!(path = #path, escape = "html");
        template(ident, "__Html", path, &keys)
    });
    let templates = subject.chain(text).chain(html);
    let from = mail.from.iter();
    let with_html = mail
        .html
        .as_ref()
        .map(|_| quote!(.with_html(::twelve::__private::render(Self::NAME, &__Html(self))?)?));
    let marked = mail.marked.iter().map(|(role, field)| {
        let method = match *role {
            "attach" => format_ident!("with_attachments"),
            role => format_ident!("with_{role}"),
        };
        // A field of a wrong type is reported where it stands.
        let place = Span::call_site().located_at(field.span());
        quote_spanned!(place=> .#method(&self.#field))
    });
    quote! {
        const _: () = {
            #(#templates)*

            #[automatically_derived]
            impl ::twelve::__private::Mail for #ident {
                const NAME: &'static str = #name;

                fn render(
                    &self,
                ) -> ::core::result::Result<::twelve::__private::Rendered, ::twelve::__private::Error> {
                    let __subject = ::twelve::__private::render(Self::NAME, &__Subject(self))?;
                    let __text = ::twelve::__private::render(Self::NAME, &__Text(self))?;
                    ::core::result::Result::Ok(
                        ::twelve::__private::Rendered::new(Self::NAME, &__subject, &__text)
                            #with_html
                            #(.with_from(#from))*
                            #(#marked)*
                    )
                }
            }
        };
    }
}

/// A template over the mail: what it calls `self.number` is found behind the reference, so fields and methods of the mail are at hand.
///
/// What is wrong in it is reported where it is named.
fn template(mail: &Ident, wrapper: &str, named: &LitStr, keys: &TokenStream) -> TokenStream {
    let place = Span::call_site().located_at(named.span());
    let wrapper = Ident::new(wrapper, place);
    quote_spanned! {place=>
        #[derive(::twelve::__private::askama::Template)]
        #[template(#keys, askama = ::twelve::__private::askama)]
        struct #wrapper<'__mail>(&'__mail #mail);

        #[automatically_derived]
        impl ::core::ops::Deref for #wrapper<'_> {
            type Target = #mail;

            fn deref(&self) -> &#mail {
                self.0
            }
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
    fn every_key_has_its_place() {
        let output = derive(&syn::parse_quote! {
            #[mail(subject = "Order {{ number }}", text = "receipt.txt", html = "receipt.html")]
            #[mail(from = "Shop <shop@example.org>", name = "order-receipt")]
            struct Receipt {
                #[mail(to)]
                email: String,
                #[mail(cc, reply_to)]
                sales: String,
                #[mail(attach)]
                invoice: Option<Attachment>,
                number: u32,
            }
        })
        .to_string();
        for part in [
            quote!(source = "Order {{ number }}", ext = "txt", escape = "none"),
            quote!(path = "receipt.txt", escape = "none"),
            quote!(path = "receipt.html", escape = "html"),
            quote!(
                const NAME: &'static str = "order-receipt";
            ),
            quote!(.with_from("Shop <shop@example.org>").with_to(&self.email).with_cc(&self.sales).with_reply_to(&self.sales).with_attachments(&self.invoice)),
        ] {
            assert!(
                output.contains(&part.to_string()),
                "{part} is missing in {output}"
            );
        }
    }

    #[test]
    fn a_mail_needs_no_html_and_is_named_like_its_type() {
        let output = derive(&syn::parse_quote! {
            #[mail(subject = "Hi", text = "hi.txt")]
            struct Hi { #[mail(to)] email: String }
        })
        .to_string();
        assert!(!output.contains("Html"), "{output}");
        assert!(output.contains(r#""Hi""#), "{output}");
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let found = faults(&syn::parse_quote! {
            #[mail(html = "a.html", from = "shop", name = "a b", sender = "x")]
            struct A<T> {
                #[mail(too)]
                to: T,
                #[mail(cc = "me")]
                cc: String,
            }
        });
        let starts = [
            "`derive(Mail)` does not support generic parameters",
            "unknown key `sender`; `#[mail]` takes `subject`",
            "`from` is an address",
            "`a b` is not a name",
            "a mail has a subject",
            "a mail has a text",
            "unknown key `too`; `#[mail]` takes `to`, `cc`",
            "`cc` takes no value",
            "a mail goes to somebody",
        ];
        assert_eq!(found.len(), starts.len(), "{found:#?}");
        for (fault, start) in found.iter().zip(starts) {
            assert!(fault.starts_with(start), "{fault}");
        }
    }

    #[test]
    fn a_mail_is_a_struct_with_named_fields() {
        let message = "the fields of a mail are named: its templates call them by their names";
        let found = faults(&syn::parse_quote!(
            #[mail(subject = "a", text = "a.txt")]
            struct A(String);
        ));
        assert_eq!(found, [message]);
        let found = faults(&syn::parse_quote!(
            #[mail(subject = "a", text = "a.txt")]
            enum A {
                B,
            }
        ));
        assert_eq!(found, ["`derive(Mail)` works on structs only"]);
    }
}
