//! A crate as modules: what each defines and imports, and which paths it names.

use proc_macro2::{Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::{BTreeMap, BTreeSet};
use syn::{
    Attribute, Item, ItemUse, Meta, Token, UseTree, Visibility,
    parse::{ParseStream, Parser},
    punctuated::Punctuated,
};

/// The names that a path is made of; one that begins with `::` has an empty first name.
pub(crate) type Path = Vec<String>;

/// The modules of a crate, by their paths from its root.
#[derive(Debug, Default)]
pub(crate) struct Crate {
    pub(crate) modules: BTreeMap<Path, Module>,
}

#[derive(Debug, Default)]
pub(crate) struct Module {
    /// Where it stands, from the folder of sources on.
    pub(crate) file: String,
    /// What a path through this module may name. A feature that is on or off may define the same name twice.
    pub(crate) names: BTreeMap<String, Vec<Entry>>,
    /// The modules of which everything is imported.
    pub(crate) globs: Vec<Path>,
    /// What its code names, imports included.
    pub(crate) paths: Vec<Path>,
    /// Every word of its code.
    words: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Definition,
    Module,
    Import(Path),
}

/// The macros of quote and syn whose tokens are output.
const QUOTES: [&str; 4] = [
    "quote",
    "quote_spanned",
    "parse_quote",
    "parse_quote_spanned",
];

/// One name of a `use`: its path, and the name that it gets here, which is `*` for all of a module's.
type Import = (Path, Option<String>);

impl Crate {
    /// Reads a crate from its files, the first of which is `lib.rs`.
    pub(crate) fn read(files: &BTreeMap<String, String>) -> Self {
        let mut this = Self::default();
        this.read_file(files, Path::new(), "lib.rs");
        this
    }

    fn read_file(&mut self, files: &BTreeMap<String, String>, path: Path, file: &str) {
        let text = files.get(file);
        let text = text.unwrap_or_else(|| panic!("{file} is missing"));
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        self.read_module(files, path, file, &folder(file), parsed.items);
    }

    fn read_module(
        &mut self,
        files: &BTreeMap<String, String>,
        path: Path,
        file: &str,
        folder: &str,
        items: Vec<Item>,
    ) {
        let mut module = Module {
            file: file.to_owned(),
            ..Module::default()
        };
        let mut reexports = Vec::new();
        for item in items.into_iter().filter(|item| !is_test(item)) {
            if let Some(name) = defined(&item) {
                module.name(name, Entry::Definition);
            }
            match item {
                Item::Use(item) => {
                    let is_reexport = !matches!(item.vis, Visibility::Inherited);
                    for (path, name) in imports(&item) {
                        module.import(&path, name.as_deref());
                        match name {
                            Some(name) if is_reexport => reexports.push((path, name)),
                            _ => module.paths.push(path),
                        }
                    }
                }
                Item::Mod(item) => {
                    let name = item.ident.to_string();
                    module.name(name.clone(), Entry::Module);
                    let inner: Path = path.iter().cloned().chain([name.clone()]).collect();
                    if let Some((_, items)) = item.content {
                        self.read_module(files, inner, file, &format!("{folder}{name}/"), items);
                    } else {
                        let flat = format!("{folder}{name}.rs");
                        let nested = format!("{folder}{name}/mod.rs");
                        let file = if files.contains_key(&flat) {
                            flat
                        } else {
                            nested
                        };
                        self.read_file(files, inner, &file);
                    }
                }
                Item::Macro(item) => {
                    // An exported macro also stands at the root of its crate.
                    if let Some(name) = &item.ident
                        && item
                            .attrs
                            .iter()
                            .any(|it| it.path().is_ident("macro_export"))
                    {
                        let here = ["crate".to_owned()].into_iter().chain(path.clone());
                        let target = here.chain([name.to_string()]).collect();
                        let root = self.modules.entry(Path::new()).or_default();
                        root.name(name.to_string(), Entry::Import(target));
                    }
                    module.scan(item.to_token_stream());
                }
                Item::Impl(mut item) => {
                    item.items.retain(|item| !is_test(item));
                    module.scan(item.to_token_stream());
                }
                other => module.scan(other.to_token_stream()),
            }
        }
        for (path, name) in reexports {
            if module.words.contains(&name) {
                module.paths.push(path);
            }
        }
        let known = self.modules.entry(path).or_default();
        for (name, entries) in std::mem::take(&mut known.names) {
            module.names.entry(name).or_default().extend(entries);
        }
        *known = module;
    }
}

impl Module {
    fn name(&mut self, name: String, entry: Entry) {
        self.names.entry(name).or_default().push(entry);
    }

    fn import(&mut self, path: &Path, name: Option<&str>) {
        match name {
            Some("*") => self.globs.push(path.clone()),
            Some(name) => self.name(name.to_owned(), Entry::Import(path.clone())),
            None => {}
        }
    }

    /// Notes the paths in code, wherever they stand: in types, in expressions, in what a macro is given.
    fn scan(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Group(group) => {
                    self.scan(group.stream());
                    at += 1;
                }
                TokenTree::Ident(word) if word == "use" => {
                    let end = tokens[at..].iter().position(|it| is_punctuation(it, ';'));
                    let end = at + end.unwrap_or_default();
                    let item = tokens[at..=end].iter().cloned().collect();
                    // `impl Trait + use<'a>` is no import.
                    if let Ok(item) = syn::parse2::<ItemUse>(item) {
                        self.paths
                            .extend(imports(&item).into_iter().map(|(path, _)| path));
                        at = end;
                    }
                    at += 1;
                }
                TokenTree::Ident(_) => {
                    let (mut path, length) = path(&tokens[at..]);
                    let is_in_macro = at > 0 && is_punctuation(&tokens[at - 1], '$');
                    if is_in_macro && path[0] == "crate" {
                        "$crate".clone_into(&mut path[0]);
                    }
                    at += length;
                    // What a macro writes belongs to whoever calls it.
                    let is_quote = path.last().is_some_and(|it| QUOTES.contains(&&**it));
                    if is_quote && tokens.get(at).is_some_and(|it| is_punctuation(it, '!')) {
                        at += 2;
                    }
                    self.note(path);
                }
                // `::name`, but not that of `<Type as Trait>::name`.
                _ if begins_path(&tokens[at..]) && !tokens[..at].last().is_some_and(is_end) => {
                    let (path, length) = path(&tokens[at..]);
                    self.note(path);
                    at += length;
                }
                _ => at += 1,
            }
        }
    }

    fn note(&mut self, path: Path) {
        self.words.extend(path.first().cloned());
        if path.len() > 1 {
            self.paths.push(path);
        }
    }
}

/// Where the modules stand that a file declares.
pub(crate) fn folder(file: &str) -> String {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    match stem.strip_suffix("mod").filter(|rest| rest.ends_with('/')) {
        Some(folder) => folder.to_owned(),
        None if stem == "lib" => String::new(),
        None => format!("{stem}/"),
    }
}

/// The path that these tokens begin with, and how many of them it takes.
fn path(tokens: &[TokenTree]) -> (Path, usize) {
    let mut path = Path::new();
    let mut at = 0;
    if begins_path(tokens) {
        path.push(String::new());
        at = 2;
    }
    while let Some(TokenTree::Ident(name)) = tokens.get(at) {
        path.push(name.to_string());
        at += 1;
        let goes_on = begins_path(&tokens[at..]);
        if !goes_on || !matches!(tokens.get(at + 2), Some(TokenTree::Ident(_))) {
            break;
        }
        at += 2;
    }
    (path, at.max(1))
}

fn begins_path(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(first), second, ..]
        if first.as_char() == ':' && first.spacing() == Spacing::Joint && is_punctuation(second, ':'))
}

fn is_end(token: &TokenTree) -> bool {
    is_punctuation(token, '>')
}

fn is_punctuation(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

fn imports(item: &ItemUse) -> Vec<Import> {
    let mut start = Path::new();
    if item.leading_colon.is_some() {
        start.push(String::new());
    }
    let mut found = Vec::new();
    flatten(&item.tree, &start, &mut found);
    found
}

fn flatten(tree: &UseTree, before: &Path, found: &mut Vec<Import>) {
    let with = |name: &syn::Ident| -> Path {
        let name = name.to_string();
        // `{self}` is the module before it.
        let is_before = name == "self" && !before.is_empty();
        let name = (!is_before).then_some(name);
        before.iter().cloned().chain(name).collect()
    };
    match tree {
        UseTree::Path(tree) => flatten(&tree.tree, &with(&tree.ident), found),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, found);
            }
        }
        UseTree::Glob(_) => found.push((before.clone(), Some("*".to_owned()))),
        UseTree::Name(tree) => {
            let path = with(&tree.ident);
            let name = path.last().cloned();
            found.push((path, name));
        }
        UseTree::Rename(tree) => {
            let name = Some(tree.rename.to_string()).filter(|name| name != "_");
            found.push((with(&tree.ident), name));
        }
    }
}

/// The name that an item defines for paths.
fn defined(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// Is it compiled for tests only?
fn is_test(item: &impl ToTokens) -> bool {
    let attributes = |input: ParseStream| {
        let attributes = Attribute::parse_outer(input)?;
        input.parse::<TokenStream>()?;
        Ok(attributes)
    };
    let attributes = attributes.parse2(item.to_token_stream());
    attributes.unwrap_or_default().iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args().is_ok_and(|meta| needs_test(&meta))
    })
}

fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|all| all.iter().any(needs_test)),
        Meta::Path(path) => path.is_ident("test"),
        _ => false,
    }
}
