//! Text becomes markup here, escaped, and nowhere else.

use std::borrow::Cow;

use axum::response::{self, IntoResponse, Response};

/// Markup: what a template of [`html!`] says, and escaped text.
#[derive(Clone, Debug, Default)]
pub(super) struct Html(String);

/// Fills a template, which is a literal: `html!("<p>{name}</p>", name = name)`.
///
/// Text is escaped, as it must be between tags and in quoted attributes; [`Html`] is not.
/// `concat!` keeps `format!` from taking variables that are not named, and so not escaped.
macro_rules! html {
    ($template:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::catcher::html::Html::filled(format!(
            concat!($template)
            $(, $name = $crate::catcher::html::Markup::markup(&$value))*
        ))
    };
}
pub(super) use html;

impl Html {
    /// For [`html!`] alone.
    pub(super) fn filled(template: String) -> Self {
        Self(template)
    }
}

impl FromIterator<Html> for Html {
    fn from_iter<T: IntoIterator<Item = Html>>(parts: T) -> Self {
        Self(parts.into_iter().map(|part| part.0).collect())
    }
}

impl IntoResponse for Html {
    fn into_response(self) -> Response {
        response::Html(self.0).into_response()
    }
}

/// What can stand in a template.
pub(super) trait Markup {
    fn markup(&self) -> Cow<'_, str>;
}

impl Markup for Html {
    fn markup(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }
}

impl Markup for str {
    fn markup(&self) -> Cow<'_, str> {
        let mut escaped = String::with_capacity(self.len());
        for character in self.chars() {
            match character {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '"' => escaped.push_str("&quot;"),
                '\'' => escaped.push_str("&#39;"),
                _ => escaped.push(character),
            }
        }
        Cow::Owned(escaped)
    }
}

impl Markup for String {
    fn markup(&self) -> Cow<'_, str> {
        self.as_str().markup()
    }
}

impl<T: Markup + ?Sized> Markup for &T {
    fn markup(&self) -> Cow<'_, str> {
        (**self).markup()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_markup_is_not() {
        let inner = html!("<b>{text}</b>", text = "<i>\"'&");
        let outer = html!(r#"<p title="{text}">{inner}"#, text = "\">", inner = inner);
        assert_eq!(
            outer.markup(),
            "<p title=\"&quot;&gt;\"><b>&lt;i&gt;&quot;&#39;&amp;</b>"
        );
    }
}
