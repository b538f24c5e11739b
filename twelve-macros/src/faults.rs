//! Collects every fault of an item, so that one compile shows them all.

/// The faults found so far.
#[derive(Default)]
pub(crate) struct Faults(Option<syn::Error>);

impl Faults {
    /// Adds one fault.
    pub(crate) fn push(&mut self, fault: syn::Error) {
        match &mut self.0 {
            Some(faults) => faults.combine(fault),
            None => self.0 = Some(fault),
        }
    }

    /// Keeps the fault of a failed check and returns what a passed one found.
    pub(crate) fn record<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|fault| self.push(fault)).ok()
    }

    /// Returns `value` if nothing was at fault.
    pub(crate) fn finish<T>(self, value: T) -> syn::Result<T> {
        self.0.map_or(Ok(value), Err)
    }
}

/// What each fault of a failed parse says, for the tests of the macros.
#[cfg(test)]
pub(crate) fn messages<T>(result: syn::Result<T>) -> Vec<String> {
    let faults = result.err().into_iter().flatten();
    faults.map(|fault| fault.to_string()).collect()
}
