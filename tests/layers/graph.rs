//! Which files lead back to themselves.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Write as _,
};

use super::{modules::folder, resolve::Uses};

#[derive(Clone, Debug)]
pub(crate) struct Graph(Uses);

/// Files of which each uses the next, and the last one the first.
type Circle = Vec<String>;

impl Graph {
    pub(crate) fn new(uses: Uses) -> Self {
        Self(uses)
    }

    /// Each circle with its files, and each exception that cuts none.
    pub(crate) fn faults(&self, exceptions: &[(String, String)]) -> Vec<String> {
        let mut rest = self.clone();
        let mut faults = Vec::new();
        for (from, to) in exceptions {
            let uses = rest.0.get_mut(from);
            if uses.and_then(|uses| uses.remove(to)).is_none() {
                faults.push(format!("remove this exception: {from} does not use {to}"));
            }
        }
        faults.extend(rest.circles().iter().map(|circle| rest.describe(circle)));
        if faults.is_empty() {
            for (from, to) in exceptions {
                let mut with = rest.clone();
                with.0
                    .entry(from.clone())
                    .or_default()
                    .insert(to.clone(), BTreeSet::new());
                if with.circles().is_empty() {
                    faults.push(format!(
                        "remove this exception: that {from} uses {to} closes no circle"
                    ));
                }
            }
        }
        faults
    }

    /// One circle, the shortest, of each group of files that lead to one another.
    pub(crate) fn circles(&self) -> Vec<Circle> {
        let mut circles = Vec::new();
        for component in self.components() {
            match component.iter().find(|file| holds(file, &component)) {
                // A folder's own file and what stands in the folder are one thing, so what is left must form no circle.
                Some(head) => {
                    let mut rest = component.clone();
                    rest.remove(head);
                    circles.extend(self.restricted_to(&rest).circles());
                }
                None => circles.push(self.restricted_to(&component).shortest_circle()),
            }
        }
        circles
    }

    /// The groups of at least two files that all lead to one another.
    fn components(&self) -> Vec<BTreeSet<String>> {
        let reached: BTreeMap<&String, BTreeSet<String>> = self
            .0
            .keys()
            .map(|file| (file, self.reached_from(file)))
            .collect();
        let leads =
            |from: &String, to: &String| reached.get(from).is_some_and(|it| it.contains(to));
        let mut components = BTreeSet::new();
        for (file, to) in &reached {
            let back = to.iter().filter(|other| leads(other, file));
            let component: BTreeSet<String> = back.cloned().collect();
            if component.len() > 1 {
                components.insert(component);
            }
        }
        components.into_iter().collect()
    }

    fn reached_from(&self, file: &String) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut open = vec![file];
        while let Some(file) = open.pop() {
            for next in self.0.get(file).into_iter().flat_map(BTreeMap::keys) {
                if reached.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        reached
    }

    fn restricted_to(&self, files: &BTreeSet<String>) -> Self {
        let mut rest = self.0.clone();
        rest.retain(|file, _| files.contains(file));
        for uses in rest.values_mut() {
            uses.retain(|file, _| files.contains(file));
        }
        Self(rest)
    }

    /// The shortest circle that does not lie in the folder of one of its files.
    fn shortest_circle(&self) -> Circle {
        let edges = self
            .0
            .iter()
            .flat_map(|(from, uses)| uses.keys().map(move |to| (from, to)));
        let circles = edges.filter_map(|(from, to)| self.shortest_way(to, from));
        circles
            .filter(|circle| {
                let files = circle.iter().cloned().collect();
                !circle.iter().any(|file| holds(file, &files))
            })
            .min_by_key(Vec::len)
            .expect("one circle leaves each folder")
    }

    fn shortest_way(&self, from: &str, to: &str) -> Option<Circle> {
        let mut ways = VecDeque::from([vec![from.to_owned()]]);
        let mut seen = BTreeSet::from([from.to_owned()]);
        while let Some(way) = ways.pop_front() {
            let last = way.last()?;
            if last == to {
                return Some(way);
            }
            for next in self.0.get(last).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(next.clone()) {
                    ways.push_back(way.iter().chain([next]).cloned().collect());
                }
            }
        }
        None
    }

    fn describe(&self, circle: &Circle) -> String {
        let mut text = format!(
            "{} files form a circle, of which one use must go:",
            circle.len()
        );
        for (from, to) in circle.iter().zip(circle.iter().cycle().skip(1)) {
            let names: Vec<&str> = self.0[from][to].iter().map(String::as_str).collect();
            write!(text, "\n    {from} uses {} of {to}", names.join(", ")).unwrap();
        }
        text
    }
}

/// Do all the others stand in the folder of this file?
fn holds(file: &str, all: &BTreeSet<String>) -> bool {
    let folder = folder(file);
    all.iter()
        .all(|other| other == file || other.starts_with(&folder))
}
