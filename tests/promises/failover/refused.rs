//! A refused connect concerns only those who need a new connection: who has one, or can wait for one, goes on.

use std::time::Duration;

use super::entries::{Entries, entry, note};
use crate::harness::database::Database;
use crate::harness::http::{Request, ask};
use crate::harness::port;
use crate::harness::postgres::Postgres;
use crate::harness::relay::Relay;
use crate::harness::shop::Server;
use crate::harness::steady::Steady;
use crate::harness::wait::until_true;

const SOON: Duration = Duration::from_secs(20);

/// Connections that are open when the role is refused more.
const OPEN: i64 = 3;

/// Clients at once; each holds its connection for 20 ms, so some of them find none.
const CLIENTS: usize = 8;

/// A server that asks a role of the app's own for its password.
struct Guarded {
    postgres: Postgres,
    app: Entries,
    role: String,
    relay: Relay,
}

impl Guarded {
    async fn start() -> Self {
        let postgres = Postgres::private().await;
        let relay = Relay::before(&postgres).await;
        let role = format!("role_{:08x}", fastrand::u32(..));
        // It owns nothing of the server, and is no superuser, whom no limit concerns.
        postgres
            .execute(format!("CREATE ROLE {role} LOGIN PASSWORD 'old'"))
            .await;
        let database = Database::create_on(&postgres).await;
        let name = database.name().to_owned();
        postgres
            .execute(format!("ALTER DATABASE {name} OWNER TO {role}"))
            .await;
        let rules = postgres.ask("SHOW hba_file").await;
        let others = std::fs::read_to_string(&rules).expect("read pg_hba.conf");
        let asked = format!("local all {role} scram-sha-256\n{others}");
        std::fs::write(&rules, asked).expect("write pg_hba.conf");
        postgres.reload().await;
        let url = with_password(&relay.url_of(&database.url), &role, "old");
        Self {
            app: Entries::released(database, url).await,
            postgres,
            role,
            relay,
        }
    }

    /// A process with connections that are open and idle.
    async fn warm_web(&self) -> Server {
        // Those of processes that a test has ended would be counted too.
        until_true("no connections", SOON, async || {
            self.app.database.connections().await == 0
        })
        .await;
        let web = self.app.web().await;
        until_true("open connections", SOON, async || {
            let dwell = Request::get("/dwell");
            let dwell = || ask(web.port, &dwell);
            tokio::join!(dwell(), dwell(), dwell());
            self.app.database.connections().await >= OPEN
        })
        .await;
        web
    }

    /// Refuses new connections, and answers how that is undone.
    async fn refuse(&self, by: By) -> String {
        let Self { role, .. } = self;
        let database = self.app.database.name();
        let (refuse, undo) = match by {
            By::Password => (
                format!("ALTER ROLE {role} PASSWORD 'new'"),
                format!("ALTER ROLE {role} PASSWORD 'old'"),
            ),
            By::Limit => (
                format!("ALTER ROLE {role} CONNECTION LIMIT 1"),
                format!("ALTER ROLE {role} CONNECTION LIMIT -1"),
            ),
            By::Database => (
                format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false"),
                format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true"),
            ),
            By::DatabaseLimit => (
                format!("ALTER DATABASE {database} CONNECTION LIMIT 1"),
                format!("ALTER DATABASE {database} CONNECTION LIMIT -1"),
            ),
            By::Login => (
                format!("ALTER ROLE {role} NOLOGIN"),
                format!("ALTER ROLE {role} LOGIN"),
            ),
            By::Expiry => (
                format!("ALTER ROLE {role} VALID UNTIL '2001-01-01'"),
                format!("ALTER ROLE {role} VALID UNTIL 'infinity'"),
            ),
        };
        self.postgres.execute(refuse).await;
        undo
    }
}

/// What refuses a connect, while those that are open go on.
#[derive(Clone, Copy, Debug)]
enum By {
    /// 28P01.
    Password,
    /// 53300.
    Limit,
    /// 55000.
    Database,
    /// 53300.
    DatabaseLimit,
    /// 28000.
    Login,
    /// 28P01.
    Expiry,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_password_fails_nobody_while_connections_are_good() {
    go_on_when_refused(&Guarded::start().await, By::Password).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_at_its_connection_limit_fails_nobody_while_connections_are_good() {
    go_on_when_refused(&Guarded::start().await, By::Limit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_no_connection_fails_nobody_while_connections_are_good() {
    let guarded = Guarded::start().await;
    go_on_when_refused(&guarded, By::Database).await;
    go_on_when_refused(&guarded, By::DatabaseLimit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_not_log_in_any_more_fails_nobody_while_connections_are_good() {
    let guarded = Guarded::start().await;
    go_on_when_refused(&guarded, By::Login).await;
    go_on_when_refused(&guarded, By::Expiry).await;
}

/// More clients than there are connections are served, and jobs are run, while no new connection is to be had.
async fn go_on_when_refused(guarded: &Guarded, by: By) {
    let web = guarded.warm_web().await;
    let _worker = guarded.app.launch(["worker"]).spawn();
    let before = jobs_done(&web).await;
    ask(web.port, &entry()).await.expect(201);
    until_done(&web, before + 1).await;

    let undo = guarded.refuse(by).await;
    let load = Steady::start(&[web.port], CLIENTS, 160, |number| match number % 4 {
        0 => Request::post("/dwell", &serde_json::json!({})),
        1 => entry(),
        2 => note(),
        _ => Request::get("/dwell"),
    });
    load.until_more(300).await;
    let account = load.stop().await;
    println!("{by:?}\n{account}");
    account.expect_served(|_| false);
    let entries = account.acknowledged("/entries").len();
    until_done(&web, before + 1 + entries).await;
    guarded.postgres.execute(undo).await;
    guarded.app.expect_all_once(&account).await;
}

/// As the process answers, which has connections.
async fn jobs_done(web: &Server) -> usize {
    let answer = ask(web.port, &Request::get("/completed")).await.expect(200);
    let count = String::from_utf8(answer.body).expect("a number");
    count.parse().expect("a number")
}

async fn until_done(web: &Server, count: usize) {
    until_true("jobs to be done", SOON, async || {
        jobs_done(web).await >= count
    })
    .await;
}

/// A process that has no connection left cannot help it, and says why; one that knows the new password works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_connections_a_rotated_password_is_503_with_its_cause_and_the_new_one_works() {
    let guarded = Guarded::start().await;
    let old = guarded.warm_web().await;
    guarded.refuse(By::Password).await;
    ask(old.port, &entry()).await.expect(201);

    let url = with_password(&guarded.app.url, &guarded.role, "new");
    let new = guarded.app.launch(["web"]).var("DATABASE_URL", url);
    let new = Server::start(new, port::free()).await;
    ask(new.port, &entry()).await.expect(201);

    guarded.relay.cut();
    until_true(
        "the old process to be refused",
        Duration::from_secs(5),
        async || ask(old.port, &entry()).await.status == 503 && old.process.log().contains("28P01"),
    )
    .await;
    ask(old.port, &Request::get("/ready")).await.expect(200);
    ask(old.port, &note()).await.expect(503);
    // Its connections were cut too: one of them may still be found dead.
    until_true("the new process", Duration::from_secs(2), async || {
        ask(new.port, &entry()).await.status == 201
    })
    .await;
}

/// The same database's URL for this role.
fn with_password(url: &str, role: &str, password: &str) -> String {
    let (_, place) = url.rsplit_once('@').expect("a URL with a role");
    format!("postgres://{role}:{password}@{place}")
}
