//! What every handler of a process shares.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use super::{Arguments, Handler, Needs};
use crate::{
    config::{Config, ConfigSpec, Environment, Variable},
    error::Error,
    lifecycle::Lifecycle,
    resource::{Building, IntoResource, ResourceSpec},
    services::postgres::Db,
};

/// The shared state of one process: its environment, lifecycle, backing services and resources.
///
/// Nothing in it is opened before its first use.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    identity: Identity,
    environment: Environment,
    lifecycle: Lifecycle,
    registry: Registry,
    database: OnceLock<Db>,
    #[cfg(feature = "redis")]
    redis: OnceLock<crate::services::redis::Redis>,
    singletons: Mutex<Singletons>,
}

type Singletons = HashMap<TypeId, Arc<dyn Any + Send + Sync>>;

fn find<T: Send + Sync + 'static>(singletons: &Singletons) -> Option<Arc<T>> {
    let value = singletons.get(&TypeId::of::<T>())?;
    Arc::clone(value).downcast().ok()
}

/// Which process this is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Identity {
    /// The app's name.
    pub app: String,
    /// The process type, such as `web`.
    pub process_type: String,
}

impl Identity {
    /// A process of this type of this app.
    #[must_use]
    pub fn new(app: impl Into<String>, process_type: impl Into<String>) -> Self {
        Self {
            app: app.into(),
            process_type: process_type.into(),
        }
    }
}

/// The configurations and resources that an app has registered.
#[derive(Clone, Default)]
pub struct Registry {
    configs: Vec<ConfigSpec>,
    resources: Vec<ResourceSpec>,
}

impl Registry {
    /// Registers a configuration.
    pub fn config<T: Config>(&mut self) {
        self.configs.push(ConfigSpec::of::<T>());
    }

    /// Registers a resource by the async function that builds it.
    pub fn resource<A, H, T>(&mut self, build: H)
    where
        H: Handler<A>,
        A: Arguments<Building>,
        H::Output: IntoResource<Resource = T>,
        H::Future: Send,
        T: Send + Sync + 'static,
    {
        self.resources.push(ResourceSpec::new(build));
    }

    /// The configurations' ids (of `Conf<T>`) and names.
    pub fn configs(&self) -> impl Iterator<Item = (TypeId, &'static str)> {
        self.configs.iter().map(|config| (config.id, config.name))
    }

    /// The resources' ids (of `Res<T>`), names and needs.
    pub fn resources(&self) -> impl Iterator<Item = (TypeId, &'static str, &Needs)> {
        self.resources
            .iter()
            .map(|resource| (resource.id, resource.name, resource.needs()))
    }

    /// Everything that is needed, with what the needed resources need in their turn.
    #[must_use]
    pub fn close_over(&self, needs: &Needs) -> Needs {
        let mut all = needs.clone();
        let mut seen = Vec::new();
        loop {
            let found = self.resources.iter().find(|resource| {
                !seen.contains(&resource.id) && all.iter().any(|need| need.id == resource.id)
            });
            let Some(resource) = found else { return all };
            seen.push(resource.id);
            all.extend(resource.needs());
        }
    }

    /// Reads the variables of every configuration that is needed.
    #[must_use]
    pub fn read_configs(&self, needs: &Needs, environment: &Environment) -> Vec<Variable> {
        self.configs
            .iter()
            .filter(|config| needs.iter().any(|need| need.id == config.id))
            .flat_map(|config| config.read(environment))
            .collect()
    }
}

impl Context {
    /// The context of one process.
    #[must_use]
    pub fn new(
        identity: Identity,
        environment: Environment,
        lifecycle: Lifecycle,
        registry: Registry,
    ) -> Self {
        Self(Arc::new(Inner {
            identity,
            environment,
            lifecycle,
            registry,
            database: OnceLock::new(),
            #[cfg(feature = "redis")]
            redis: OnceLock::new(),
            singletons: Mutex::default(),
        }))
    }

    /// Which process this is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// The variables that this process was started with.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.0.environment
    }

    /// Where this process stands between start and exit.
    #[must_use]
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.0.lifecycle
    }

    /// Postgres; opens no connection yet.
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] when `DATABASE_URL` is missing or wrong.
    pub fn db(&self) -> Result<Db, Error> {
        once(&self.0.database, || Db::lazy(self))
    }

    /// Redis; opens no connection yet.
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] when `REDIS_URL` is missing or wrong.
    #[cfg(feature = "redis")]
    pub fn redis(&self) -> Result<crate::services::redis::Redis, Error> {
        once(&self.0.redis, || crate::services::redis::Redis::lazy(self))
    }

    /// The one value of type `T` in this process, made on first use.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    pub fn singleton<T, F>(&self, make: F) -> Result<Arc<T>, Error>
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> Result<T, Error>,
    {
        if let Some(known) = find(&self.singletons()) {
            return Ok(known);
        }
        // Without the lock, for making one may ask for another. Two may make one at once: both then use whichever came first.
        let value = Arc::new(make()?);
        let mut singletons = self.singletons();
        Ok(find(&singletons).unwrap_or_else(|| {
            singletons.insert(TypeId::of::<T>(), value.clone());
            value
        }))
    }

    fn singletons(&self) -> MutexGuard<'_, Singletons> {
        let singletons = &self.0.singletons;
        singletons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for what still runs in the background, then closes what was opened.
    pub async fn close(&self) {
        self.lifecycle().tracker().idle().await;
        if let Some(db) = self.0.database.get() {
            db.close().await;
        }
    }

    pub(crate) fn config_of(&self, id: TypeId) -> Option<&ConfigSpec> {
        self.0.registry.configs.iter().find(|spec| spec.id == id)
    }

    pub(crate) fn resource_of(&self, id: TypeId) -> Option<&ResourceSpec> {
        self.0.registry.resources.iter().find(|spec| spec.id == id)
    }
}

/// The value of the cell; a failure is not kept, so the next caller tries again.
fn once<T: Clone>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    if let Some(known) = cell.get() {
        return Ok(known.clone());
    }
    let value = make()?;
    // Two may make one at once: both then use whichever came first.
    Ok(cell.get_or_init(|| value).clone())
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(&self.0.identity).finish()
    }
}
