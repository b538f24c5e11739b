//! The statements of a script, as far as a release has to understand them.
//!
//! The rules of the words are those of the manual's section 4.1, *Lexical Structure*.
//! A semicolon in the body of a rule or of a function in SQL ends a statement here: what follows it in there cannot be a statement that this module looks for.

use std::borrow::Cow;

/// What a backslash is in a plain string: `standard_conforming_strings` says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strings {
    /// A character like any other.
    Standard,
    /// The beginning of an escape.
    Escaped,
}

/// One statement.
#[derive(Debug)]
pub(super) struct Statement<'s> {
    script: &'s str,
    tokens: Vec<Token<'s>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token<'s> {
    kind: Kind,
    start: usize,
    text: &'s str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A key word or a name.
    Word,
    /// A name in double quotes, with them.
    Quoted,
    /// A string, whatever its quotes.
    String,
    /// One character of anything else.
    Other,
}

/// What CREATE INDEX CONCURRENTLY says, when it names the index.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ConcurrentIndex<'s> {
    /// As the catalog has it.
    pub(super) name: Cow<'s, str>,
    /// As the statement has it.
    pub(super) table: &'s str,
    pub(super) if_not_exists: bool,
}

/// Splits a script at its semicolons; what is empty but for comments is no statement.
pub(super) fn split(script: &str, strings: Strings) -> Vec<Statement<'_>> {
    let mut statements = Vec::new();
    let mut tokens = Vec::new();
    let reader = Reader {
        script,
        at: 0,
        strings,
    };
    for token in reader {
        if token.text == ";" {
            statements.push(std::mem::take(&mut tokens));
        } else {
            tokens.push(token);
        }
    }
    statements.push(tokens);
    let statements = statements.into_iter().filter(|tokens| !tokens.is_empty());
    let statements = statements.map(|tokens| Statement { script, tokens });
    statements.collect()
}

impl<'s> Statement<'s> {
    /// What kind of statement it is, if Postgres runs it in no transaction.
    ///
    /// Only those that never run in one: what depends on more than words is left to Postgres.
    pub(super) fn without_transaction(&self) -> Option<&'static str> {
        let has = |word| self.tokens.iter().any(|token| token.is(word));
        if self.begins(&["VACUUM"]) {
            Some("VACUUM")
        } else if self.concurrently().is_some() {
            Some("CREATE INDEX CONCURRENTLY")
        } else if self.begins(&["DROP", "INDEX", "CONCURRENTLY"]) {
            Some("DROP INDEX CONCURRENTLY")
        } else if self.begins(&["REINDEX"]) && has("CONCURRENTLY") {
            Some("REINDEX CONCURRENTLY")
        } else if self.begins(&["ALTER", "TABLE"]) && has("DETACH") && has("CONCURRENTLY") {
            Some("DETACH PARTITION CONCURRENTLY")
        } else if self.begins(&["ALTER", "SYSTEM"]) {
            Some("ALTER SYSTEM")
        } else if self.begins(&["CREATE", "DATABASE"]) || self.begins(&["DROP", "DATABASE"]) {
            Some("CREATE or DROP DATABASE")
        } else if self.begins(&["CREATE", "TABLESPACE"]) || self.begins(&["DROP", "TABLESPACE"]) {
            Some("CREATE or DROP TABLESPACE")
        } else {
            None
        }
    }

    /// The index that CREATE INDEX CONCURRENTLY builds, when the statement names it.
    pub(super) fn concurrent_index(&self) -> Option<ConcurrentIndex<'s>> {
        let rest = self.concurrently()?;
        let unless_there = after(rest, &["IF", "NOT", "EXISTS"]);
        let (name, rest) = unless_there.unwrap_or(rest).split_first()?;
        // Where ON stands in its place, Postgres makes up a name that is free.
        let rest = after(rest, &["ON"])?;
        let rest = after(rest, &["ONLY"]).unwrap_or(rest);
        let ends = |token: &&Token<'_>| token.text == "(" || token.is("USING");
        let (start, end) = (rest.first()?, rest.iter().find(ends)?);
        Some(ConcurrentIndex {
            name: name.name()?,
            table: self.script.get(start.start..end.start)?.trim(),
            if_not_exists: unless_there.is_some(),
        })
    }

    /// May the thing of this name be gone, or be called otherwise, after this statement?
    pub(super) fn may_remove(&self, name: &str) -> bool {
        let named = |token: &Token<'_>| token.name().is_some_and(|one| one == name);
        (self.begins(&["DROP"]) || self.begins(&["ALTER"])) && self.tokens.iter().any(named)
    }

    /// What comes after CREATE INDEX CONCURRENTLY.
    fn concurrently(&self) -> Option<&[Token<'s>]> {
        let rest = after(&self.tokens, &["CREATE"])?;
        let rest = after(rest, &["UNIQUE"]).unwrap_or(rest);
        after(rest, &["INDEX", "CONCURRENTLY"])
    }

    fn begins(&self, words: &[&str]) -> bool {
        after(&self.tokens, words).is_some()
    }
}

/// What comes after these words, if it begins with them.
fn after<'t, 's>(tokens: &'t [Token<'s>], words: &[&str]) -> Option<&'t [Token<'s>]> {
    let (head, rest) = tokens.split_at_checked(words.len())?;
    let same = head.iter().zip(words).all(|(token, word)| token.is(word));
    same.then_some(rest)
}

impl<'s> Token<'s> {
    /// Is it this key word? Quotes make a name of it.
    fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// The name that it is in the catalog, if it may be one.
    fn name(&self) -> Option<Cow<'s, str>> {
        match self.kind {
            Kind::Word => Some(self.text.to_ascii_lowercase().into()),
            Kind::Quoted => {
                let inner = self.text.strip_prefix('"')?.strip_suffix('"')?;
                Some(inner.replace("\"\"", "\"").into())
            }
            Kind::String | Kind::Other => None,
        }
    }
}

/// Reads tokens, and passes over blanks and comments.
struct Reader<'s> {
    script: &'s str,
    at: usize,
    strings: Strings,
}

impl<'s> Iterator for Reader<'s> {
    type Item = Token<'s>;

    fn next(&mut self) -> Option<Token<'s>> {
        self.pass_blanks();
        let rest = self.rest();
        let first = rest.chars().next()?;
        let (kind, length) = if matches!(first, 'e' | 'E') && rest[1..].starts_with('\'') {
            (Kind::String, 1 + string(&rest[1..], Strings::Escaped))
        } else if is_start(first) {
            let end = rest.find(|other| !is_part(other));
            (Kind::Word, end.unwrap_or(rest.len()))
        } else if first == '\'' {
            (Kind::String, string(rest, self.strings))
        } else if first == '"' {
            (Kind::Quoted, quoted(rest))
        } else if let Some(length) = dollar_quoted(rest) {
            (Kind::String, length)
        } else if first.is_ascii_digit() || first == '$' {
            // A number or a parameter: a `$` in `1$a$` begins no string.
            let end = rest[1..].find(|other| !is_part(other));
            (Kind::Other, end.map_or(rest.len(), |end| end + 1))
        } else {
            (Kind::Other, first.len_utf8())
        };
        let start = self.at;
        self.at += length;
        let text = &rest[..length];
        Some(Token { kind, start, text })
    }
}

impl<'s> Reader<'s> {
    fn rest(&self) -> &'s str {
        &self.script[self.at..]
    }

    fn pass_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches(is_blank).len();
            let comment = if rest[blank..].starts_with("--") {
                let line = &rest[blank..];
                line.find(['\n', '\r']).unwrap_or(line.len())
            } else if rest[blank..].starts_with("/*") {
                comment(&rest[blank..])
            } else {
                0
            };
            self.at += blank + comment;
            if comment == 0 {
                return;
            }
        }
    }
}

/// A byte order mark is no blank to Postgres, but it belongs to no word either.
fn is_blank(character: char) -> bool {
    matches!(
        character,
        ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' | '\u{feff}'
    )
}

fn is_start(character: char) -> bool {
    character.is_ascii_alphabetic() || character == '_' || !character.is_ascii()
}

fn is_part(character: char) -> bool {
    is_start(character) || character.is_ascii_digit() || character == '$'
}

/// The length of a comment in C's style; they nest.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    loop {
        let rest = &text.as_bytes()[at..];
        if rest.is_empty() {
            return at;
        } else if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
}

/// The length of a string in single quotes, with those that continue it on further lines.
fn string(text: &str, strings: Strings) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' if strings == Strings::Escaped => {
                characters.next();
            }
            '\'' => {
                let end = at + 1;
                let rest = &text[end..];
                let next = rest.trim_start_matches(is_blank);
                let gap = &rest[..rest.len() - next.len()];
                let doubled = gap.is_empty();
                if !next.starts_with('\'') || !(doubled || gap.contains(['\n', '\r'])) {
                    return end;
                }
                let start = end + gap.len();
                return start + string(&text[start..], strings);
            }
            _ => {}
        }
    }
    text.len()
}

/// The length of a name in double quotes.
fn quoted(text: &str) -> usize {
    let mut at = 1;
    while let Some(found) = text[at..].find('"') {
        at += found + 1;
        if !text[at..].starts_with('"') {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// The length of a string in dollar quotes, if it is one.
fn dollar_quoted(text: &str) -> Option<usize> {
    let tag_end = text.strip_prefix('$')?.find('$')? + 2;
    let tag = &text[..tag_end];
    let name = &tag[1..tag_end - 1];
    if name.starts_with(|first| !is_start(first)) || name.contains(|part| !is_part(part)) {
        return None;
    }
    let end = text[tag_end..].find(tag);
    Some(end.map_or(text.len(), |end| tag_end + end + tag_end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statements, each as its words and strings with one space between them.
    fn statements(script: &str, strings: Strings) -> Vec<String> {
        let text = |statement: Statement<'_>| {
            let texts = statement.tokens.iter().map(|token| token.text);
            texts.collect::<Vec<_>>().join(" ")
        };
        split(script, strings).into_iter().map(text).collect()
    }

    fn standard(script: &str) -> Vec<String> {
        statements(script, Strings::Standard)
    }

    #[test]
    fn semicolons_in_strings_names_and_comments_end_nothing() {
        for one in [
            "SELECT 'a;b''c;'",
            r"SELECT E'a\';b'",
            "SELECT $$a;b$$",
            "SELECT $x$a;$$;$y$;b$x$",
            "SELECT \"a;\"\"b;\"",
            "SELECT 'a'\n'b;c'",
            r"SELECT E'a' 
              '\';b'",
            "SELECT 1 -- a; b",
            "SELECT /* a; /* b; */ c; */ 1",
            "DO $do$ BEGIN PERFORM 1; PERFORM $$2;$$; END $do$;",
        ] {
            assert_eq!(standard(one).len(), 1, "{one}");
        }
    }

    #[test]
    fn what_only_looks_like_a_quote_hides_no_semicolon() {
        for two in [
            r"SELECT 'a\'; SELECT '1'",
            "SELECT a$b$; SELECT c$b$",
            "SELECT $1; SELECT $1",
            "SELECT 1 /* '*/; SELECT 2 -- '",
            "SELECT /* /* */ ' ; */ 1; SELECT 2",
            "SELECT 'é'; SELECT \"ü\"",
            "SELECT 1;; /* ; */ ; -- ;\n SELECT 2;",
            "SELECT $\u{e9}$;$\u{e9}$; SELECT 2",
            "SELECT 'a' 'b'; SELECT 'c'",
        ] {
            assert_eq!(standard(two).len(), 2, "{two}: {:?}", standard(two));
        }
    }

    #[test]
    fn a_backslash_escapes_where_the_server_says_so() {
        let script = r"SELECT 'a\'; SELECT '1'";
        assert_eq!(statements(script, Strings::Standard).len(), 2);
        assert_eq!(statements(script, Strings::Escaped).len(), 1);
    }

    #[test]
    fn a_script_without_an_end_is_read_to_its_end() {
        for open in ["'a;", "E'\\", "\"a;", "$$a;", "/* a;", "e", "$", "-- é"] {
            assert!(standard(open).len() <= 1, "{open}");
        }
        assert!(standard("-- no-transaction\n").is_empty());
    }

    #[test]
    fn statements_that_run_in_no_transaction_are_known_by_their_words() {
        let kind = |script| split(script, Strings::Standard)[0].without_transaction();
        for (script, expected) in [
            (
                "create index concurrently a on t (x)",
                Some("CREATE INDEX CONCURRENTLY"),
            ),
            (
                "/* 1 */ CREATE UNIQUE INDEX CONCURRENTLY ON t (x)",
                Some("CREATE INDEX CONCURRENTLY"),
            ),
            (
                "DROP INDEX CONCURRENTLY IF EXISTS a",
                Some("DROP INDEX CONCURRENTLY"),
            ),
            (
                "REINDEX (VERBOSE, CONCURRENTLY) TABLE t",
                Some("REINDEX CONCURRENTLY"),
            ),
            ("VACUUM t", Some("VACUUM")),
            (
                "ALTER TABLE t DETACH PARTITION p CONCURRENTLY",
                Some("DETACH PARTITION CONCURRENTLY"),
            ),
            ("ALTER SYSTEM SET work_mem = '1MB'", Some("ALTER SYSTEM")),
            ("CREATE INDEX a ON t (x)", None),
            ("CREATE INDEX \"concurrently\" ON t (x)", None),
            ("REFRESH MATERIALIZED VIEW CONCURRENTLY m", None),
            ("ALTER TYPE t ADD VALUE 'VACUUM'", None),
            ("CREATE TABLE vacuum (x int)", None),
        ] {
            assert_eq!(kind(script), expected, "{script}");
        }
    }

    #[test]
    fn the_index_is_named_as_the_catalog_names_it() {
        let index = |script| split(script, Strings::Standard)[0].concurrent_index();
        let found = index("CREATE INDEX CONCURRENTLY By_Day ON ONLY \"S;\".t USING gin (x)");
        let found = found.unwrap();
        assert_eq!((&*found.name, found.table), ("by_day", "\"S;\".t"));
        assert!(!found.if_not_exists);
        let found = index("create unique index concurrently if not exists \"A\"\"b\" on t(x)");
        let found = found.unwrap();
        assert_eq!((&*found.name, found.table), ("A\"b", "t"));
        assert!(found.if_not_exists);
        assert_eq!(index("CREATE INDEX CONCURRENTLY ON t (x)"), None);
        assert_eq!(index("CREATE INDEX a ON t (x)"), None);
    }
}
