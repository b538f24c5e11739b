//! Which processes a supervisor runs.

use std::collections::BTreeMap;

use twelve_core::{Error, ProcessKind, ProcessType};

use super::ports::{Ports, STEP};

/// Process types whose `NAME_URL` would be taken for that of a backing service.
const BACKING_SERVICES: [&str; 3] = ["database", "redis", "smtp"];

/// How many processes of each type: `web=2,worker=1`, or `all=1,web=2`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Formation(BTreeMap<String, u16>);

/// One process of a formation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSlot {
    /// Its process type.
    pub process_type: String,
    /// Its name, such as `web.1`.
    pub name: String,
    /// Its `PORT`.
    pub port: u16,
    /// Does it serve HTTP there?
    pub listens: bool,
}

impl Formation {
    /// One process of each type.
    pub fn one_of_each() -> Self {
        Self(BTreeMap::from([("all".into(), 1)]))
    }

    /// Reads what stood on the command line.
    ///
    /// # Errors
    ///
    /// It is no formation of these process types.
    pub fn parse(texts: &[String], types: &[ProcessType]) -> Result<Self, Error> {
        let mut counts = BTreeMap::new();
        for part in texts.iter().flat_map(|text| text.split(',')) {
            let (name, count) = part.split_once('=').ok_or_else(|| {
                Error::usage(format!(
                    "`{part}` is no part of a formation such as web=2,worker=1"
                ))
            })?;
            if name != "all" && types.iter().all(|known| known.name() != name) {
                let names: Vec<_> = types.iter().map(ProcessType::name).collect();
                return Err(Error::usage(format!(
                    "`{name}` is not a process type; there are: all, {}",
                    names.join(", ")
                )));
            }
            let count = count.parse().ok().filter(|count| *count <= STEP);
            let count = count.ok_or_else(|| {
                Error::usage(format!(
                    "`{part}` does not say how many: a number from 0 to {STEP}"
                ))
            })?;
            if counts.insert(name.to_owned(), count).is_some() {
                return Err(Error::usage(format!(
                    "`{name}` stands twice in the formation"
                )));
            }
        }
        Ok(Self(counts))
    }

    fn count(&self, process_type: &str) -> u16 {
        let named = self.0.get(process_type).or_else(|| self.0.get("all"));
        named.copied().unwrap_or_default()
    }

    /// The names of the processes, such as `web.1`.
    pub fn names(&self, types: &[ProcessType]) -> impl Iterator<Item = String> {
        types.iter().flat_map(|process_type| {
            let name = process_type.name();
            (1..=self.count(name)).map(move |number| format!("{name}.{number}"))
        })
    }

    /// The processes in the order of the Procfile, with their ports.
    ///
    /// Types that are not run keep their place, so that a port does not depend on the formation.
    ///
    /// # Errors
    ///
    /// It is empty, or there are too few ports.
    pub fn slots(&self, types: &[ProcessType], base: u16) -> Result<Vec<ProcessSlot>, Error> {
        let ports = Ports::new(base, types.len())?;
        let mut slots = Vec::new();
        for (index, process_type) in types.iter().enumerate() {
            for number in 0..self.count(process_type.name()) {
                slots.push(ProcessSlot {
                    process_type: process_type.name().to_owned(),
                    name: format!("{}.{}", process_type.name(), number + 1),
                    port: ports.of(index, number)?,
                    listens: process_type.kind() == ProcessKind::Http,
                });
            }
        }
        if slots.is_empty() {
            return Err(Error::usage(
                "the formation is empty: there is nothing to run",
            ));
        }
        Ok(slots)
    }
}

/// Where the siblings of a process are: `PAYMENTS_URL` for the process type `payments`.
///
/// The process type is a backing service to its siblings, attached by URL like any other (factor IV).
pub fn sibling_urls<'s>(
    slots: impl IntoIterator<Item = &'s ProcessSlot>,
) -> impl Iterator<Item = (String, String)> {
    let first = slots
        .into_iter()
        .filter(|slot| slot.listens && slot.name.ends_with(".1"))
        .filter(|slot| !BACKING_SERVICES.contains(&slot.process_type.as_str()));
    first.map(|slot| {
        let name = slot.process_type.to_ascii_uppercase().replace('-', "_");
        (
            format!("{name}_URL"),
            format!("http://localhost:{}", slot.port),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use twelve_core::{Exit, Needs};

    fn types() -> Vec<ProcessType> {
        let process_type =
            |(name, kind)| ProcessType::new(name, kind, Needs::default(), async |_| Ok(Exit::Done));
        let types = [
            ("web", ProcessKind::Http),
            ("my-live", ProcessKind::Http),
            ("feed", ProcessKind::Custom),
        ];
        types.map(process_type).into()
    }

    fn parse(text: &str) -> Result<Formation, Error> {
        Formation::parse(&[text.to_owned()], &types())
    }

    #[test]
    fn ports_follow_foreman() {
        let slots = parse("all=1,web=2").unwrap().slots(&types(), 5000).unwrap();
        let found: Vec<_> = slots
            .iter()
            .map(|slot| (slot.name.as_str(), slot.port, slot.listens))
            .collect();
        assert_eq!(
            found,
            [
                ("web.1", 5000, true),
                ("web.2", 5001, true),
                ("my-live.1", 5100, true),
                ("feed.1", 5200, false),
            ]
        );
        let urls: Vec<_> = sibling_urls(&slots).collect();
        assert_eq!(
            urls[1],
            ("MY_LIVE_URL".into(), "http://localhost:5100".into())
        );
        let only = parse("feed=1").unwrap().slots(&types(), 7000).unwrap();
        assert_eq!(only[0].port, 7200);
    }

    #[test]
    fn what_is_no_formation_is_refused_with_a_sentence() {
        for (text, problem) in [
            ("web", "no part of a formation"),
            ("wbe=1", "there are: all, web, my-live, feed"),
            ("web=many", "how many"),
            ("web=101", "how many"),
            ("web=-1", "how many"),
            ("web=1,web=2", "twice"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                error.is_usage() && error.to_string().contains(problem),
                "{error}"
            );
        }
        let nothing = parse("web=0").unwrap().slots(&types(), 5000).unwrap_err();
        assert!(nothing.to_string().contains("empty"));
        let high = parse("all=1").unwrap().slots(&types(), 65_500).unwrap_err();
        assert!(high.to_string().contains("too few ports"));
    }
}
