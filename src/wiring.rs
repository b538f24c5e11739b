//! Checks the wiring: what would fail on the first request fails before the port is bound, all at once.

use std::{any::TypeId, path::PathBuf, sync::Arc};

use twelve_core::{
    Budget, Config, Environment, Needs, ProcessType, Reader, Variable, read_variables,
    takes_two_transactions,
    telemetry::{LOG_FORMAT, LogFormat},
};
use twelve_worker::{Queues, Settings as WorkerSettings};

use crate::{app::App, cli::commands::COMMANDS};

impl App {
    /// Everything that is wired wrongly, in sentences; empty when all is well.
    ///
    /// The command line calls it before anything else, and exits with 78 when something is wrong.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut faults = Vec::new();
        self.check_names(&mut faults);
        for (name, router) in &self.http {
            faults.extend(
                router
                    .faults()
                    .iter()
                    .map(|fault| format!("{name}: {fault}")),
            );
        }
        faults.extend(self.jobs.faults());
        self.check_queues(&mut faults);
        #[cfg(feature = "mail")]
        self.check_mails(&mut faults);
        for (who, needs) in self.handlers() {
            self.check_arguments(&who, &needs, &mut faults);
        }
        faults
    }

    /// Every process type that argv can name, in the order of the builder: HTTP, workers, the scheduler, the mailer, the author's own.
    pub(crate) fn process_types(&self) -> Vec<ProcessType> {
        let jobs = Arc::new(self.jobs.clone());
        let http = self
            .http
            .iter()
            .map(|(name, router)| twelve_web::http(name, router.clone()));
        let workers = self
            .worker_queues()
            .into_iter()
            .map(|(name, queues)| twelve_worker::worker(name, queues, Arc::clone(&jobs)));
        let scheduler =
            (self.jobs.has_schedules()).then(|| twelve_worker::scheduler("scheduler", &self.jobs));
        #[cfg(feature = "mail")]
        let scheduler = scheduler.into_iter().chain(self.mailer());
        http.chain(workers)
            .chain(scheduler)
            .chain(self.processes.iter().cloned())
            .collect()
    }

    /// Which queues each worker type takes: `worker` takes all that the others do not name.
    fn worker_queues(&self) -> Vec<(String, Queues)> {
        if self.jobs.iter().next().is_none() {
            return Vec::new();
        }
        let claimed = self.workers.iter().filter_map(|(_, queues)| queues.named());
        let claimed = claimed.flatten().cloned();
        #[cfg(feature = "mail")]
        let claimed = claimed.chain(self.mail_queue());
        let rest = Queues::all_except(claimed);
        std::iter::once(("worker".to_owned(), rest))
            .chain(self.workers.iter().cloned())
            .collect()
    }

    /// What is wrong with the queues that a worker is told to take: another process type has them for itself.
    pub(crate) fn misplaced_queue(&self, name: &str, settings: &WorkerSettings) -> Option<String> {
        let all = self.worker_queues();
        let (_, own) = all.iter().find(|(known, _)| known == name)?;
        let queue = settings.queues()?.iter().find(|queue| !own.takes(queue))?;
        let other = all.iter().find(|(_, queues)| queues.takes(queue));
        let other = other.map_or("mailer", |(name, _)| name);
        Some(format!(
            "queue `{queue}` is not for `{name}`: `{other}` takes it"
        ))
    }

    /// The variables that a process of this type reads.
    pub(crate) fn variables(
        &self,
        process: &ProcessType,
        environment: &Environment,
    ) -> Vec<Variable> {
        let needs = self.registry.close_over(process.needs());
        let mut read_for = twelve_core::read_for_arguments();
        read_for.extend(twelve_worker::read_for_arguments());
        let settings = read_for
            .iter()
            .filter_map(|read_for| read_for.settings_for(&needs))
            .chain(process.settings());
        let mut variables = self.registry.read_configs(&needs, environment);
        variables.extend(read_variables(settings, environment));
        let mut reader = Reader::new(environment);
        let _ = Budget::load(&mut reader);
        let _: Option<Option<PathBuf>> =
            reader.read("TWELVE_STATE_DIR", None, "where processes answer `health`");
        let _: Option<Option<String>> = reader.read(
            "RUST_LOG",
            None,
            "which logs are written, such as info,my_app=debug",
        );
        let _: Option<Option<LogFormat>> = reader.read(
            LOG_FORMAT,
            None,
            "how logs look; text on a terminal, json elsewhere",
        );
        variables.extend(reader.into_variables());
        variables
    }

    fn check_names(&self, faults: &mut Vec<String>) {
        let mut seen = Vec::new();
        for process in self.process_types() {
            let name = process.name().to_owned();
            if COMMANDS.iter().any(|command| command.name == name) {
                faults.push(format!(
                    "the process type `{name}` has the name of a command"
                ));
            } else if !is_plain(&name) {
                faults.push(format!(
                    "the process type `{name}` is not named in a-z, 0-9 and `-`"
                ));
            } else if seen.contains(&name) {
                faults.push(format!("two process types are named `{name}`"));
            }
            seen.push(name);
        }
        let mut seen = Vec::new();
        for task in &self.tasks {
            if seen.contains(&&task.name) {
                faults.push(format!("two tasks are named `{}`", task.name));
            }
            seen.push(&task.name);
        }
        check_once("configuration", self.registry.configs(), faults);
        for (id, name, needs) in self.registry.resources() {
            if self
                .registry
                .close_over(needs)
                .iter()
                .any(|need| need.id == id)
            {
                faults.push(format!(
                    "the resource `{name}` needs itself: its build would never end"
                ));
            }
        }
        let resources = self.registry.resources();
        check_once(
            "resource",
            resources.map(|(id, name, _)| (id, name)),
            faults,
        );
    }

    fn check_queues(&self, faults: &mut Vec<String>) {
        for (name, queues) in &self.workers {
            for queue in queues.named().into_iter().flatten() {
                if !self
                    .jobs
                    .iter()
                    .any(|job| job.policy().queue_name() == queue)
                {
                    faults.push(format!(
                        "the worker `{name}` takes the queue `{queue}`, but no job is on it"
                    ));
                }
            }
        }
    }

    /// Every handler, with what its arguments need.
    pub(crate) fn handlers(&self) -> Vec<(String, Needs)> {
        let routes = self.http.iter().flat_map(|(_, router)| {
            router.routes().iter().map(|route| {
                let who = format!("the handler of {} {}", route.method(), route.path());
                (who, route.needs().clone())
            })
        });
        let middlewares = self.http.iter().flat_map(|(_, router)| {
            router.middlewares().iter().map(|middleware| {
                let who = format!("the middleware `{}`", middleware.name());
                (who, middleware.needs().clone())
            })
        });
        let jobs = self
            .jobs
            .iter()
            .map(|job| (job.to_string(), job.needs().clone()));
        let processes = self.processes.iter().map(|process| {
            let who = format!("the process `{}`", process.name());
            (who, process.needs().clone())
        });
        let tasks = self.tasks.iter().map(|task| {
            let who = format!("the task `{}`", task.name);
            (who, task.handler.needs().clone())
        });
        let resources = self
            .registry
            .resources()
            .map(|(_, name, needs)| (format!("the resource `{name}`"), needs.clone()));
        routes
            .chain(middlewares)
            .chain(jobs)
            .chain(processes)
            .chain(tasks)
            .chain(resources)
            .collect()
    }

    fn check_arguments(&self, who: &str, needs: &Needs, faults: &mut Vec<String>) {
        for argument in needs.iter() {
            let known = self.registry.configs().any(|(id, _)| id == argument.id)
                || self.registry.resources().any(|(id, ..)| id == argument.id);
            if known {
                continue;
            }
            if let Some(name) = argument.resource() {
                faults.push(format!(
                    "{who} takes `Res<{name}>`, which is not registered: add `.resource(…)`"
                ));
            } else if let Some(name) = argument.config() {
                faults.push(format!(
                    "{who} takes `Conf<{name}>`, which is not registered: add `.config::<{name}>()`"
                ));
            }
        }
        if takes_two_transactions(needs) {
            faults.push(format!(
                "{who} takes `Tx` twice: one run has one transaction"
            ));
        }
    }
}

/// Reports each type that was registered more than once.
fn check_once(
    what: &str,
    registered: impl Iterator<Item = (TypeId, &'static str)>,
    faults: &mut Vec<String>,
) {
    let mut seen = Vec::new();
    for (id, name) in registered {
        if seen.contains(&id) {
            faults.push(format!("the {what} `{name}` is registered twice"));
        }
        seen.push(id);
    }
}

/// A name that argv, a Procfile and a Kubernetes label can all carry.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    struct Client;

    #[derive(Serialize, Deserialize, Job)]
    #[job(kind = "greet")]
    struct Greet;

    async fn greet(_: Greet, _: Res<Client>) {}

    async fn greet_again(_: Greet) {}

    async fn report(_: Tick, _: Res<Client>) {}

    async fn hello(_: Conf<Settings>) {}

    async fn two(_: Tx, _: Tx) {}

    async fn follow() {}

    #[derive(Config)]
    struct Settings {
        key: Secret<String>,
    }

    struct Egg;

    struct Hen;

    async fn lay(_: Res<Hen>) -> Result<Egg> {
        Ok(Egg)
    }

    async fn hatch(_: Res<Egg>) -> Result<Hen> {
        Ok(Hen)
    }

    async fn connect(settings: Conf<Settings>) -> Result<Client> {
        let _ = settings.key.reveal();
        Ok(Client)
    }

    #[test]
    fn every_fault_is_found_at_once() {
        let app = App::new("ui")
            .resource(lay)
            .resource(hatch)
            .web(
                Router::new()
                    .route("/", get(hello))
                    .route("/two", post(two)),
            )
            .job(greet)
            .job(greet_again)
            .schedule(Schedule::cron("report", "0 6 * * *"), report)
            .worker("compute", Queues::only(["computing"]))
            .process("Follow", follow)
            .process("config", follow)
            .process("web", follow);
        let faults = app.check().join("\n");
        for fault in [
            "GET / takes `Conf<twelve::wiring::tests::Settings>`, which is not registered",
            "POST /two takes `Tx` twice",
            "`greet` takes `Res<twelve::wiring::tests::Client>`, which is not registered",
            "the schedule `report` takes `Res<twelve::wiring::tests::Client>`, which is not registered",
            "the job kind `greet` has two handlers",
            "takes the queue `computing`, but no job is on it",
            "the process type `Follow` is not named in a-z",
            "the process type `config` has the name of a command",
            "two process types are named `web`",
            "Egg` needs itself",
        ] {
            assert!(faults.contains(fault), "{fault:?} is missing in:\n{faults}");
        }
    }

    #[test]
    fn a_process_type_asks_only_for_what_its_handlers_take() {
        let app = App::new("ui")
            .config::<Settings>()
            .resource(connect)
            .web(Router::new().route("/", get(follow)))
            .job(greet);
        assert_eq!(app.check(), Vec::<String>::new());
        let asked = |name: &str| -> Vec<&str> {
            let processes = app.process_types();
            let process = processes.iter().find(|process| process.name() == name);
            let variables = app.variables(process.unwrap(), &Environment::default());
            variables.iter().map(|variable| variable.name).collect()
        };
        assert!(!asked("web").contains(&"DATABASE_URL"));
        // The job takes a resource, and that one takes the configuration.
        assert!(asked("worker").contains(&"KEY"));
        assert!(asked("worker").contains(&"DATABASE_URL"));
    }

    #[test]
    fn a_scheduler_needs_postgres_and_what_its_handlers_take_their_worker_needs() {
        let reports = Policy::new().queue("reports");
        let daily = Schedule::cron("report", "0 6 * * *").policy(reports);
        let app = App::new("ui")
            .config::<Settings>()
            .resource(connect)
            .schedule(daily, report)
            .worker("compute", Queues::only(["reports"]));
        assert_eq!(app.check(), Vec::<String>::new());
        let asks = |name: &str, variable: &str| {
            let processes = app.process_types();
            let process = processes.iter().find(|process| process.name() == name);
            let variables = app.variables(process.unwrap(), &Environment::default());
            variables.iter().any(|asked| asked.name == variable)
        };
        assert!(asks("scheduler", "DATABASE_URL") && !asks("scheduler", "KEY"));
        assert!(asks("compute", "KEY") && !asks("worker", "KEY"));
    }
}
