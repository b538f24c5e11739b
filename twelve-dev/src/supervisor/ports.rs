//! Which port each process of a formation gets: foreman's rule, without the ports that browsers refuse.

use twelve_core::Error;
use twelve_web::is_bad_port;

/// The base port, when nobody names one.
pub const BASE_PORT: u16 = 5000;

/// How far the ports of two process types are apart, and so the most processes of one type.
pub(super) const STEP: u16 = 100;

/// The ports of an app, from a base port on: 100 more for each process type, 1 more for each process.
///
/// The base itself is kept whatever it is, because a platform that names it sends its requests there.
/// Any other port that browsers refuse gives way to one above all of these.
/// So every other process keeps the port that it would have, and no number of processes becomes impossible.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    base: u16,
    types: u16,
}

impl Ports {
    /// The ports of an app with so many process types.
    ///
    /// # Errors
    ///
    /// There are fewer ports than types.
    pub fn new(base: u16, types: usize) -> Result<Self, Error> {
        let types = u16::try_from(types).map_err(|_| too_few(base))?;
        Ok(Self { base, types })
    }

    /// The port of process `number`, counted from 0, of the type with this index.
    ///
    /// # Errors
    ///
    /// There are too few ports above the base.
    pub fn of(self, index: usize, number: u16) -> Result<u16, Error> {
        let index = u16::try_from(index).map_err(|_| too_few(self.base))?;
        let port = self.above_base(index, number)?;
        if port == self.base || !is_bad_port(port) {
            return Ok(port);
        }
        let replaced_before = (self.base + 1..port).filter(|port| is_bad_port(*port));
        let spare = self.above_base(self.types, 1)?..=u16::MAX;
        let mut spare = spare.filter(|port| !is_bad_port(*port));
        let port = spare.nth(replaced_before.count());
        port.ok_or_else(|| too_few(self.base))
    }

    /// The port after those of the process types.
    ///
    /// # Errors
    ///
    /// There are too few ports above the base.
    pub fn after_all(self) -> Result<u16, Error> {
        self.of(self.types.into(), 0)
    }

    fn above_base(self, index: u16, number: u16) -> Result<u16, Error> {
        let port = index
            .checked_mul(STEP)
            .and_then(|above| self.base.checked_add(above)?.checked_add(number));
        port.ok_or_else(|| too_few(self.base))
    }
}

fn too_few(base: u16) -> Error {
    Error::usage(format!(
        "from the base port {base} on there are too few ports"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: usize = 3;

    #[test]
    fn no_process_of_any_formation_gets_a_port_that_browsers_refuse_or_that_another_has() {
        // The base that gave a port last.
        let mut given_from = vec![0; usize::from(u16::MAX) + 1];
        // Above the last port on the list nothing gives way, and a sample is enough.
        for base in (1..10_100).chain((10_100..=u16::MAX).step_by(501)) {
            let ports = Ports::new(base, TYPES).unwrap();
            // A smaller formation is a part of the largest.
            let largest = (0..TYPES).flat_map(|index| (0..STEP).map(move |number| (index, number)));
            let found = largest.map(|(index, number)| ports.of(index, number));
            for port in found.chain([ports.after_all()]) {
                let Ok(port) = port else {
                    assert!(base > 65_000, "from {base} on there are enough ports");
                    continue;
                };
                let is_named = port == base;
                assert!(is_named || !is_bad_port(port), "{port}, from {base} on");
                let before = std::mem::replace(&mut given_from[usize::from(port)], base);
                assert_ne!(before, base, "{port} is given twice");
            }
        }
    }

    #[test]
    fn only_a_port_that_browsers_refuse_gives_way() {
        let ports = Ports::new(5000, 3).unwrap();
        // SIP has 5060 and 5061; the page of mails has 5300.
        let found: Vec<_> = (59..63)
            .map(|number| ports.of(0, number).unwrap())
            .collect();
        assert_eq!(found, [5059, 5301, 5302, 5062]);
        assert_eq!(ports.of(1, 0).unwrap(), 5100);
        assert_eq!(ports.after_all().unwrap(), 5300);
        // X11 has 6000.
        let ports = Ports::new(5800, 3).unwrap();
        assert_eq!(ports.of(2, 0).unwrap(), 6101);
        let ports = Ports::new(5700, 3).unwrap();
        assert_eq!(ports.after_all().unwrap(), 6001);
    }
}
