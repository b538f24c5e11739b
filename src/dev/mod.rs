//! What surrounds the processes of `myapp dev`: private servers, a database of the worktree's own, and the variables that name them.
//!
//! A variable that is set, in the environment or in `.env`, always wins.

mod database;
pub(crate) mod dotenv;
mod inbox;

pub(crate) use inbox::Inbox;

use std::{
    fs::{self, File, TryLockError},
    io::ErrorKind,
    path::PathBuf,
};

use twelve_core::{Environment, Error};

use crate::services::{Directory, Services, Wanted};

/// The surroundings of one worktree and app; the private servers live as long as this.
#[derive(Debug)]
pub(crate) struct Surroundings {
    app: String,
    directory: Directory,
    services: Option<Services>,
    environment: Environment,
    /// The variables that nobody had set.
    defaults: Vec<(String, String)>,
}

/// One `dev` for each app and worktree; the lock goes with the process, however it ends.
#[derive(Debug)]
pub(crate) struct OnlyOne {
    _lock: File,
    variables: PathBuf,
}

impl Surroundings {
    /// Starts the private servers that nobody has named a URL for, if they do not run.
    ///
    /// It blocks: call it before a runtime.
    pub(crate) fn attach(
        app: &str,
        environment: Environment,
        wants_redis: bool,
    ) -> Result<Self, Error> {
        let refused =
            |error| Error::unavailable("private servers cannot be started").because(error);
        let directory = Directory::of_worktree(".").map_err(refused)?;
        let is_set = |name| environment.var(name).is_some();
        let wanted = match (!is_set("DATABASE_URL"), wants_redis && !is_set("REDIS_URL")) {
            (true, true) => Some(Wanted::Both),
            (true, false) => Some(Wanted::Postgres),
            (false, true) => Some(Wanted::Redis),
            (false, false) => None,
        };
        let services = wanted
            .map(|wanted| Services::attach(&directory, wanted))
            .transpose()
            .map_err(refused)?;
        let mut surroundings = Self {
            app: app.to_owned(),
            directory,
            services,
            environment,
            defaults: Vec::new(),
        };
        surroundings.name_the_servers()?;
        Ok(surroundings)
    }

    fn name_the_servers(&mut self) -> Result<(), Error> {
        // Probes of two worktrees must not meet.
        let state = self.directory.path().join("run");
        self.set_default("TWELVE_STATE_DIR", &state.to_string_lossy());
        let Some(services) = &self.services else {
            return Ok(());
        };
        let (redis, name) = (services.redis_url().map(str::to_owned), self.database());
        if let (Some(server), Some(url)) =
            (services.database_url(), services.database_url_of(&name))
        {
            database::ensure(server, &name)?;
            self.set_default("DATABASE_URL", &url);
        }
        if let Some(url) = redis {
            self.set_default("REDIS_URL", &url);
        }
        Ok(())
    }

    /// The name of the worktree's own database for this app; the server is the worktree's.
    fn database(&self) -> String {
        let plain = |character: char| match character {
            'a'..='z' | '0'..='9' => character,
            'A'..='Z' => character.to_ascii_lowercase(),
            _ => '_',
        };
        let app: String = self.app.chars().map(plain).take(50).collect();
        format!("{app}_dev")
    }

    /// Begins with an empty database and an empty Redis; those that somebody has named are left alone.
    pub(crate) fn empty(&self) -> Result<(), Error> {
        let Some(services) = &self.services else {
            return Err(Error::usage(
                "--fresh empties private servers, but DATABASE_URL names another",
            ));
        };
        if let Some(server) = services.database_url() {
            database::recreate(server, &self.database())?;
        }
        #[cfg(feature = "redis")]
        if let Some(url) = services.redis_url() {
            database::flush_redis(url)?;
        }
        Ok(())
    }

    /// The variables of every process.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Where the private servers are, for whoever wants to look inside.
    pub(crate) fn private_urls(&self) -> impl Iterator<Item = (&str, String)> {
        let named = |name: &str| match name {
            "DATABASE_URL" => Some("postgres"),
            "REDIS_URL" => Some("redis"),
            _ => None,
        };
        let defaults = self.defaults.iter();
        defaults.filter_map(move |(name, url)| Some((named(name)?, url.clone())))
    }

    /// Sets a variable, unless somebody has set it already.
    pub(crate) fn set_default(&mut self, name: &str, value: &str) {
        if self.environment.var(name).is_none() {
            self.environment = self.environment.clone().with(name, value);
            self.defaults.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Takes the place of this worktree's one `dev` for this app, and tells commands beside it which variables its processes have.
    pub(crate) fn publish(&self) -> Result<OnlyOne, Error> {
        let path = self.directory.path().join(format!("dev-{}.lock", self.app));
        let failed =
            |error| Error::internal(format!("{} cannot be locked", path.display())).because(error);
        fs::create_dir_all(self.directory.path()).map_err(failed)?;
        let lock = File::create(&path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let problem = format!("`{} dev` runs in this worktree already", self.app);
                return Err(Error::internal(problem));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let variables = self.variables();
        let lines = self
            .defaults
            .iter()
            .map(|(name, value)| format!("{name}='{value}'\n"));
        fs::write(&variables, lines.collect::<String>()).map_err(failed)?;
        Ok(OnlyOne {
            _lock: lock,
            variables,
        })
    }

    /// Takes over what the running `dev` of this worktree has published, if one runs.
    pub(crate) fn join(&mut self) -> Result<(), Error> {
        match dotenvy::from_path_iter(self.variables()) {
            Ok(lines) => {
                for (name, value) in lines.flatten() {
                    self.set_default(&name, &value);
                }
                Ok(())
            }
            Err(dotenvy::Error::Io(error)) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => {
                Err(Error::internal("what `dev` has published cannot be read").because(error))
            }
        }
    }

    fn variables(&self) -> PathBuf {
        self.directory.path().join(format!("dev-{}.env", self.app))
    }

    /// Stops the private servers, unless somebody else uses them.
    pub(crate) fn leave(self) -> Result<(), Error> {
        let Some(services) = self.services else {
            return Ok(());
        };
        services
            .stop()
            .map_err(|error| Error::internal("private servers cannot be stopped").because(error))
    }
}

impl Drop for OnlyOne {
    fn drop(&mut self) {
        // A later `dev` writes it anew.
        let _ = fs::remove_file(&self.variables);
    }
}
