//! What an app has registered.

use std::{any::TypeId, sync::Arc};

use super::{Arguments, Context, Handler, Identity, Needs};
use crate::{
    config::{Config, ConfigSpec, Environment, Variable},
    lifecycle::Lifecycle,
    resource::{Building, IntoResource, ResourceSpec},
};

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

    /// The transitive closure: these needs, and those of the resources among them.
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

    pub(crate) fn config_spec(&self, id: TypeId) -> Option<&ConfigSpec> {
        self.configs.iter().find(|spec| spec.id == id)
    }

    pub(crate) fn resource_spec(&self, id: TypeId) -> Option<&ResourceSpec> {
        self.resources.iter().find(|spec| spec.id == id)
    }
}

impl Context {
    /// The context of one process of an app that has registered this.
    #[must_use]
    pub fn new(
        identity: Identity,
        environment: Environment,
        lifecycle: Lifecycle,
        registry: Registry,
    ) -> Self {
        let context = Self::bare(identity, environment, lifecycle);
        context.keep(registry);
        context
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        self.find().unwrap_or_default()
    }
}
