//! Reads variables, and remembers each with its source and what is wrong with it.

use std::{error::Error as StdError, fmt, str::FromStr};

use super::{Environment, Value};

/// Reads variables for [`Config::load`](super::Config::load).
#[derive(Debug)]
pub struct Reader<'e> {
    environment: &'e Environment,
    variables: Vec<Variable>,
}

/// One variable that was asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it is for: the doc comment of its field.
    pub purpose: &'static str,
    /// Where its value came from.
    pub origin: Origin,
    /// Its value as a listing may show it; `None` when it is not set.
    pub shown: Option<String>,
    /// The form it must have.
    pub expected: &'static str,
    /// What is wrong with it, and the form that it must have.
    pub fault: Option<String>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The variable itself.
    Environment,
    /// The file that `NAME_FILE` names.
    File(String),
    /// The default in the code.
    Default,
    /// Nowhere: it is not set.
    Unset,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("environment"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Default => f.write_str("default"),
            Self::Unset => f.write_str("not set"),
        }
    }
}

impl<'e> Reader<'e> {
    /// A reader of this environment.
    #[must_use]
    pub fn new(environment: &'e Environment) -> Self {
        Self {
            environment,
            variables: Vec::new(),
        }
    }

    /// Reads one variable; a fault is remembered and answered with `None`.
    pub fn read<T: Value>(
        &mut self,
        name: &'static str,
        default: Option<&str>,
        purpose: &'static str,
    ) -> Option<T> {
        let (origin, text) = match self.text(name, default) {
            Ok(found) => found,
            Err((origin, fault)) => {
                self.note::<T>(name, purpose, origin, None, Some(fault));
                return None;
            }
        };
        // Set to nothing, be it in a file, counts as not set.
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            let missing = T::missing();
            let fault = missing.is_none().then(|| expected::<T>("is not set"));
            self.note::<T>(name, purpose, origin, None, fault);
            return missing;
        };
        match T::parse(&text) {
            Ok(value) => {
                self.note::<T>(name, purpose, origin, Some(T::show(&text)), None);
                Some(value)
            }
            Err(fault) => {
                let fault = expected::<T>(&fault);
                self.note::<T>(name, purpose, origin, Some(T::show(&text)), Some(fault));
                None
            }
        }
    }

    /// Reads one variable whose type only implements [`FromStr`].
    pub fn read_from_str<T>(
        &mut self,
        name: &'static str,
        default: Option<&str>,
        purpose: &'static str,
    ) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.read::<ByFromStr<T>>(name, default, purpose)
            .map(|value| value.0)
    }

    /// Records that a value which could be read is still not acceptable.
    pub fn reject(&mut self, name: &'static str, fault: impl Into<String>) {
        if let Some(variable) = self.variables.iter_mut().find(|known| known.name == name) {
            variable.fault.get_or_insert(fault.into());
        }
    }

    /// Everything that was asked for, in the order of asking.
    #[must_use]
    pub fn into_variables(self) -> Vec<Variable> {
        self.variables
    }

    /// The text of a variable and where it came from.
    fn text(
        &self,
        name: &str,
        default: Option<&str>,
    ) -> Result<(Origin, Option<String>), (Origin, String)> {
        let file_name = format!("{name}_FILE");
        match (self.environment.var(name), self.environment.var(&file_name)) {
            (Some(_), Some(_)) => Err((
                Origin::Environment,
                format!("is set twice: unset {name} or {file_name}"),
            )),
            (Some(value), None) => value
                .to_str()
                .map(|text| (Origin::Environment, Some(text.to_owned())))
                .ok_or_else(|| (Origin::Environment, "is not UTF-8".to_owned())),
            (None, Some(path)) => {
                let path = path.to_string_lossy().into_owned();
                match std::fs::read_to_string(&path) {
                    // Editors and `echo` end a file with a newline that is no part of the secret.
                    Ok(text) => {
                        let text = text.trim_end_matches(['\r', '\n']).to_owned();
                        Ok((Origin::File(path), Some(text)))
                    }
                    Err(error) => {
                        let fault = format!("cannot be read from {path}: {error}");
                        Err((Origin::File(path), fault))
                    }
                }
            }
            (None, None) => Ok(match self.environment.default_of(name).or(default) {
                Some(text) => (Origin::Default, Some(text.to_owned())),
                None => (Origin::Unset, None),
            }),
        }
    }

    fn note<T: Value>(
        &mut self,
        name: &'static str,
        purpose: &'static str,
        origin: Origin,
        shown: Option<String>,
        fault: Option<String>,
    ) {
        self.variables.push(Variable {
            name,
            purpose,
            origin,
            shown,
            expected: T::EXPECTED,
            fault,
        });
    }
}

/// A fault with the form that the variable must have.
fn expected<T: Value>(fault: &str) -> String {
    format!("{fault}; expected {}", T::EXPECTED)
}

/// Adapts a type that knows [`FromStr`] only.
struct ByFromStr<T>(T);

impl<T> Value for ByFromStr<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    const EXPECTED: &'static str = "a value of the app's own";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|error: T::Err| error.to_string())
    }
}

/// Every variable that is wrong, in one error.
#[derive(Debug)]
pub struct Faults(Vec<Variable>);

impl Faults {
    /// The faults among these variables, each variable once; `None` when all is well.
    #[must_use]
    pub fn among(variables: impl IntoIterator<Item = Variable>) -> Option<Self> {
        let mut faults: Vec<Variable> = variables
            .into_iter()
            .filter(|variable| variable.fault.is_some())
            .collect();
        faults.sort_by_key(|variable| variable.name);
        faults.dedup_by_key(|variable| variable.name);
        (!faults.is_empty()).then_some(Self(faults))
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables = match self.0.len() {
            1 => "a variable is wrong".to_owned(),
            count => format!("{count} variables are wrong"),
        };
        f.write_str(&variables)?;
        let width = self.0.iter().map(|fault| fault.name.len()).max();
        for variable in &self.0 {
            let Variable {
                name, shown, fault, ..
            } = variable;
            write!(f, "\n  {name:0$}  ", width.unwrap_or_default())?;
            if let Some(shown) = shown {
                write!(f, "{shown:?} from {}: ", variable.origin)?;
            }
            let fault = fault.as_deref().unwrap_or_default();
            f.write_str(fault)?;
        }
        Ok(())
    }
}

impl StdError for Faults {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn reading(variables: &[(&str, &str)], read: impl FnOnce(&mut Reader<'_>)) -> Vec<Variable> {
        let environment = variables.iter().copied().collect();
        let mut reader = Reader::new(&environment);
        read(&mut reader);
        reader.into_variables()
    }

    #[test]
    fn every_fault_is_named_with_its_expected_form() {
        let variables = reading(&[("PORT", "abc"), ("KEY", "x")], |reader| {
            assert_eq!(reader.read::<u16>("PORT", None, ""), None);
            assert_eq!(reader.read::<String>("ABSENT", None, ""), None);
            assert!(reader.read::<Secret<u16>>("KEY", None, "").is_none());
        });
        let text = Faults::among(variables).unwrap().to_string();
        assert_eq!(
            text,
            "3 variables are wrong\n  \
             ABSENT  is not set; expected text\n  \
             KEY     \"[secret]\" from environment: not in the expected form; expected a whole number from 0 to 65535\n  \
             PORT    \"abc\" from environment: not such a number; expected a whole number from 0 to 65535"
        );
    }

    #[test]
    fn a_variable_that_is_set_to_nothing_takes_its_default() {
        let variables = reading(&[("CURRENCY", "")], |reader| {
            let currency = reader.read::<String>("CURRENCY", Some("EUR"), "");
            assert_eq!(currency.as_deref(), Some("EUR"));
            assert_eq!(reader.read::<Option<u16>>("ABSENT", None, ""), Some(None));
        });
        assert_eq!(variables[0].origin, Origin::Default);
        assert!(Faults::among(variables).is_none());
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        let path = std::env::temp_dir().join(format!("twelve-secret-{}", std::process::id()));
        std::fs::write(&path, "s3cret\n").unwrap();
        let set = [("KEY_FILE", path.to_str().unwrap())];
        let variables = reading(&set, |reader| {
            let key = reader.read::<Secret<String>>("KEY", None, "").unwrap();
            assert_eq!(key.reveal(), "s3cret");
        });
        std::fs::remove_file(&path).unwrap();
        assert_eq!(variables[0].shown.as_deref(), Some("[secret]"));
    }

    #[test]
    fn a_variable_and_its_file_cannot_both_be_set() {
        let variables = reading(&[("KEY", "a"), ("KEY_FILE", "/b")], |reader| {
            assert!(reader.read::<String>("KEY", None, "").is_none());
        });
        assert!(
            Faults::among(variables)
                .unwrap()
                .to_string()
                .contains("set twice")
        );
    }
}
