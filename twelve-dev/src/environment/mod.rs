//! The development environment of `myapp dev`: private servers, a database of the worktree's own, and the variables that name them.
//!
//! A variable that is set, in the environment or in `.env`, always wins.

mod database;

use std::{
    fs::{self, File, TryLockError},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use twelve_core::{Environment, Error};

use crate::{
    private,
    services::{Directory, Services, Wanted},
};

/// The development environment of one worktree and app; the private servers live as long as this.
#[derive(Debug)]
pub struct DevEnvironment {
    app: String,
    directory: Directory,
    services: Option<Services>,
    /// The variables of every process.
    variables: Environment,
    /// Those of them that nobody had set.
    defaults: Vec<(String, String)>,
}

/// Keeps a second `dev` of this app out of the worktree; the lock goes with the process, however it ends.
#[derive(Debug)]
pub struct DevLock {
    _lock: File,
    published: PathBuf,
}

impl DevEnvironment {
    /// Starts the private servers that nobody has named a URL for, if they do not run.
    ///
    /// It blocks: call it before a runtime.
    ///
    /// # Errors
    ///
    /// A server cannot be started, or the directory of this worktree is not safe.
    pub fn attach(app: &str, variables: Environment, wants_redis: bool) -> Result<Self, Error> {
        let refused =
            |error| Error::unavailable("private servers cannot be started").with_source(error);
        let directory = Directory::of_worktree(".").map_err(refused)?;
        let is_set = |name| variables.is_set(name);
        let wants_redis = wants_redis && !is_set("REDIS_URL");
        let wanted = Wanted::missing(!is_set("DATABASE_URL"), wants_redis);
        // Whoever else could have put it there could also say what our commands are given.
        directory.claim().map_err(refused)?;
        let services = wanted
            .map(|wanted| Services::attach(&directory, wanted))
            .transpose()
            .map_err(refused)?;
        let mut environment = Self {
            app: app.to_owned(),
            directory,
            services,
            variables,
            defaults: Vec::new(),
        };
        environment.name_the_servers()?;
        Ok(environment)
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
    ///
    /// # Errors
    ///
    /// `DATABASE_URL` names a server that is not private, or a server does not answer.
    pub fn empty(&self) -> Result<(), Error> {
        let services = self.services.as_ref();
        let Some(server) = services.and_then(Services::database_url) else {
            let problem = "--fresh empties private servers, but DATABASE_URL names another";
            return Err(Error::usage(problem));
        };
        database::recreate(server, &self.database())?;
        #[cfg(feature = "redis")]
        if let Some(url) = services.and_then(Services::redis_url) {
            database::flush_redis(url)?;
        }
        Ok(())
    }

    /// The variables of every process.
    pub fn variables(&self) -> &Environment {
        &self.variables
    }

    /// Where the private servers are, for whoever wants to look inside.
    pub fn private_urls(&self) -> impl Iterator<Item = (&str, String)> {
        let named = |name: &str| match name {
            "DATABASE_URL" => Some("postgres"),
            "REDIS_URL" => Some("redis"),
            _ => None,
        };
        let defaults = self.defaults.iter();
        defaults.filter_map(move |(name, url)| Some((named(name)?, url.clone())))
    }

    /// Sets a variable, unless somebody has set it already.
    pub fn set_default(&mut self, name: &str, value: &str) {
        if !self.variables.is_set(name) {
            self.variables = self.variables.clone().with(name, value);
            self.defaults.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Takes the place of this worktree's one `dev` for this app, and tells commands beside it which variables its processes have.
    ///
    /// # Errors
    ///
    /// Another one runs, or the files cannot be written.
    pub fn publish(&self) -> Result<DevLock, Error> {
        let Some(lock) = self.lock()? else {
            let problem = format!("`{} dev` runs in this worktree already", self.app);
            return Err(Error::internal(problem));
        };
        let path = self.published();
        let lines = self
            .defaults
            .iter()
            .map(|(name, value)| format!("{name}='{value}'\n"));
        private::write(&path, &lines.collect::<String>()).map_err(|error| failed(&path, error))?;
        Ok(DevLock {
            _lock: lock,
            published: path,
        })
    }

    /// Takes over what the `dev` of this worktree has published, if one runs.
    ///
    /// # Errors
    ///
    /// What it has published cannot be read.
    pub fn join(&mut self) -> Result<(), Error> {
        if self.lock()?.is_some() {
            return Ok(());
        }
        let path = self.published();
        let unreadable = |error| {
            let message = format!(
                "what `dev` has published in {} cannot be read",
                path.display()
            );
            Error::internal(message).with_source(error)
        };
        match private::read(&path) {
            Ok(file) => {
                for line in dotenvy::from_read_iter(file) {
                    let (name, value) = line.map_err(unreadable)?;
                    self.set_default(&name, &value);
                }
                Ok(())
            }
            // It is just starting, or just ending.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(unreadable(dotenvy::Error::Io(error))),
        }
    }

    /// The lock that a `dev` holds, unless one does.
    fn lock(&self) -> Result<Option<File>, Error> {
        let path = self.file("lock");
        let lock = private::open(&path).map_err(|error| failed(&path, error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(&path, error)),
        }
    }

    /// Where the variables are published.
    fn published(&self) -> PathBuf {
        self.file("env")
    }

    fn file(&self, extension: &str) -> PathBuf {
        let name = format!("dev-{}.{extension}", self.database());
        self.directory.path().join(name)
    }

    /// Stops the private servers, unless somebody else uses them.
    ///
    /// # Errors
    ///
    /// A server does not end.
    pub fn detach(self) -> Result<(), Error> {
        let Some(services) = self.services else {
            return Ok(());
        };
        services.stop().map_err(|error| {
            Error::internal("private servers cannot be stopped").with_source(error)
        })
    }
}

fn failed(path: &Path, error: io::Error) -> Error {
    Error::internal(format!("{} cannot be used", path.display())).with_source(error)
}

impl Drop for DevLock {
    fn drop(&mut self) {
        // A later `dev` writes it anew.
        let _ = fs::remove_file(&self.published);
    }
}
