//! From the path that a file names to the file that defines what it means, through every re-export.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{Crate, Entry, Path};

/// Which file uses which other one, and the names that it uses.
pub(crate) type Uses = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

#[derive(Debug, Default)]
pub(crate) struct Resolved {
    pub(crate) uses: Uses,
    /// Paths that lead nowhere, each with its file: a circle could hide behind one.
    pub(crate) unknown: BTreeSet<String>,
}

/// What a path may lead to.
#[derive(Clone, Debug)]
enum Target {
    /// A definition: its module and its name.
    Definition(Path, String),
    Module(Path),
    /// Another crate, or a name of the language's own.
    Outside(String),
}

impl Crate {
    pub(crate) fn uses(&self) -> Resolved {
        let mut resolved = Resolved::default();
        for (from, module) in &self.modules {
            for path in &module.paths {
                let targets = self.resolve(from, path, &mut Vec::new());
                if targets.is_empty() {
                    let unknown = format!("{}: `{}`", module.file, path.join("::"));
                    resolved.unknown.insert(unknown);
                }
                for target in targets {
                    let Target::Definition(target, name) = target else {
                        continue;
                    };
                    let file = &self.modules[&target].file;
                    if *file != module.file {
                        let uses = resolved.uses.entry(module.file.clone()).or_default();
                        uses.entry(file.clone()).or_default().insert(name);
                    }
                }
            }
        }
        resolved
    }

    /// The crates that are named, with the file that names them.
    pub(crate) fn imported_crates(&self) -> BTreeSet<(String, String)> {
        let mut imported = BTreeSet::new();
        for (from, module) in &self.modules {
            let reexports = module.names.values().flatten().filter_map(|it| match it {
                Entry::Import(path) => Some(path),
                _ => None,
            });
            for path in module.paths.iter().chain(reexports) {
                for target in self.resolve(from, path, &mut Vec::new()) {
                    if let Target::Outside(name) = target {
                        imported.insert((module.file.clone(), name));
                    }
                }
            }
        }
        imported
    }

    /// The paths that go through a re-export of `lib.rs`, each with its file.
    ///
    /// A macro that other crates use has no other way: there it is `$crate`.
    pub(crate) fn detours(&self) -> BTreeSet<String> {
        let root = &self.modules[&Path::new()];
        let is_reexport = |name: &String| {
            let entries = root.names.get(name);
            entries.is_some_and(|all| all.iter().all(|it| matches!(it, Entry::Import(_))))
        };
        let inner = self.modules.values().filter(|it| it.file != root.file);
        let paths = inner.flat_map(|module| module.paths.iter().map(move |path| (module, path)));
        paths
            .filter(|(_, path)| path[0] == "crate" && path.get(1).is_some_and(is_reexport))
            .map(|(module, path)| format!("{}: `{}`", module.file, path.join("::")))
            .collect()
    }

    /// Follows a path from a module; `trail` holds the names that are being looked up, since imports may name each other.
    fn resolve(&self, from: &Path, path: &Path, trail: &mut Vec<(Path, String)>) -> Vec<Target> {
        let mut names = path.iter();
        let first = names.next().map_or("", String::as_str);
        let mut targets = match first {
            "" => return vec![Target::Outside(path.get(1).cloned().unwrap_or_default())],
            "crate" | "$crate" => vec![Target::Module(Path::new())],
            "self" => vec![Target::Module(from.clone())],
            "super" => vec![Target::Module(parent(from))],
            name => match self.look_up(from, name, trail) {
                found if found.is_empty() => vec![Target::Outside(name.to_owned())],
                found => found,
            },
        };
        for name in names {
            targets = targets
                .into_iter()
                .flat_map(|target| match target {
                    Target::Module(module) if name == "super" => {
                        vec![Target::Module(parent(&module))]
                    }
                    Target::Module(module) => self.look_up(&module, name, trail),
                    // The rest is a variant, or a method.
                    other => vec![other],
                })
                .collect();
        }
        targets
    }

    fn look_up(&self, module: &Path, name: &str, trail: &mut Vec<(Path, String)>) -> Vec<Target> {
        let step = (module.clone(), name.to_owned());
        let Some(within) = self.modules.get(module) else {
            return Vec::new();
        };
        if trail.contains(&step) {
            return Vec::new();
        }
        trail.push(step);
        let mut targets = Vec::new();
        for entry in within.names.get(name).into_iter().flatten() {
            match entry {
                Entry::Definition => {
                    targets.push(Target::Definition(module.clone(), name.to_owned()));
                }
                Entry::Module => {
                    let inner = module.iter().cloned().chain([name.to_owned()]);
                    targets.push(Target::Module(inner.collect()));
                }
                Entry::Import(path) => targets.extend(self.resolve(module, path, trail)),
            }
        }
        if targets.is_empty() {
            for glob in &within.globs {
                for target in self.resolve(module, glob, trail) {
                    if let Target::Module(inner) = target {
                        targets.extend(self.look_up(&inner, name, trail));
                    }
                }
            }
        }
        trail.pop();
        targets
    }
}

fn parent(module: &Path) -> Path {
    let end = module.len().saturating_sub(1);
    module[..end].to_vec()
}
