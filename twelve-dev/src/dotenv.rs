//! `.env`: variables for development, beside the code.

use std::{io::ErrorKind, path::Path};

use twelve_core::{Environment, Error};

/// The environment with what `.env` in the current directory adds; what is set already wins.
///
/// # Errors
///
/// The file is there and cannot be read, or a line of it is no variable.
pub fn load(environment: &Environment) -> Result<Environment, Error> {
    read(Path::new(".env"), environment)
}

fn read(path: &Path, environment: &Environment) -> Result<Environment, Error> {
    let wrong = |error: dotenvy::Error| {
        Error::configuration(format!("{} cannot be read", path.display())).with_source(error)
    };
    let lines = match dotenvy::from_path_iter(path) {
        Ok(lines) => lines,
        Err(dotenvy::Error::Io(error)) if error.kind() == ErrorKind::NotFound => {
            return Ok(environment.clone());
        }
        Err(error) => return Err(wrong(error)),
    };
    let mut environment = environment.clone();
    for line in lines {
        let (name, value) = line.map_err(wrong)?;
        if !environment.is_set(&name) {
            environment = environment.with(name, value);
        }
    }
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_set_already_wins_over_the_file_and_a_wrong_line_is_named() {
        let path = std::env::temp_dir().join(format!("twelve-dotenv-{}", std::process::id()));
        fs::write(&path, "# a comment\nA=1\nexport B='two words'\n").unwrap();
        let set = Environment::default().with("A", "kept");
        let read = |environment: &Environment| super::read(&path, environment);
        let environment = read(&set).unwrap();
        assert_eq!(environment.var("A").unwrap(), "kept");
        assert_eq!(environment.var("B").unwrap(), "two words");
        fs::write(&path, "A=1\nno variable\n").unwrap();
        let error = read(&Environment::default()).unwrap_err();
        assert!(
            twelve_core::chain(&error).contains("no variable"),
            "{error:?}"
        );
        fs::remove_file(&path).unwrap();
        assert!(read(&set).unwrap().var("B").is_none());
    }
}
