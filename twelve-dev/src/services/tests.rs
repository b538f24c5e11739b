//! The protocol of the module's documentation, with real servers and real processes.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::directory::Afterwards;
use super::lifeline::Locked;
use super::{Directory, Services, Stop, Wanted};

/// Tells [`holder`] which directory to attach to.
const HOLDER: &str = "TWELVE_TEST_HOLDER";

/// A private directory whose guardian is quick.
fn quick() -> Directory {
    let mut directory = Directory::private();
    directory.linger = Duration::from_millis(500);
    directory.tick = Duration::from_millis(50);
    directory
}

/// The same directory, as another process sees it that did not make it.
fn seen_from_elsewhere(path: &Path) -> Directory {
    let mut directory = Directory::at(path);
    directory.linger = Duration::from_millis(500);
    directory.tick = Duration::from_millis(50);
    directory.afterwards = Afterwards::Remove;
    directory
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited 30 s until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(number.cast_signed()).unwrap()
}

/// The lifelines of both servers, open files that tell the truth even when the directory is gone.
///
/// Process ids would not: where init does not reap, as in some containers, a dead server keeps its id.
struct Lifelines([File; 2]);

impl Lifelines {
    fn of(directory: &Directory) -> Self {
        Self(["postgres", "redis"].map(|name| File::open(directory.file(name, "lock")).unwrap()))
    }

    /// How many of the servers live.
    fn held(&self) -> usize {
        let held = |file: &&File| {
            let held = file.try_lock_shared().is_err();
            file.unlock().unwrap();
            held
        };
        self.0.iter().filter(held).count()
    }
}

fn pids(services: &Services) -> (u32, u32) {
    let postgres = services.postgres().unwrap().pid().unwrap();
    (postgres, services.redis().unwrap().pid().unwrap())
}

fn guardian_pid(directory: &Directory) -> Option<u32> {
    let text = fs::read_to_string(directory.file("guardian", "pid")).ok()?;
    text.trim().parse().ok()
}

/// Not a test of its own: the body of processes that the tests start.
#[test]
fn holder() {
    let Some(path) = env::var_os(HOLDER) else {
        return;
    };
    let directory = seen_from_elsewhere(&PathBuf::from(path));
    let services = Services::attach(&directory, Wanted::Both).unwrap();
    let (postgres, redis) = pids(&services);
    println!("\nservers {postgres} {redis}");
    // Until the test closes the pipe, or kills this process.
    let _ = std::io::stdin().read(&mut [0]);
}

/// A process that holds the servers of a directory.
struct Holder {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Holder {
    fn start(directory: &Directory) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "services::tests::holder", "--nocapture"])
            .env(HOLDER, directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    fn pids(&mut self) -> (u32, u32) {
        let mut line = String::new();
        while !line.starts_with("servers ") {
            line.clear();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "no servers");
        }
        let mut numbers = line.split_whitespace().skip(1).map(|n| n.parse().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }

    fn leave(mut self) {
        drop(self.child.stdin.take());
        // Ends only when nobody holds the pipe, the servers included.
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn threads_and_processes_that_race_to_attach_share_one_postgres_and_one_redis() {
    let directory = quick();
    let mut holders: Vec<_> = (0..4).map(|_| Holder::start(&directory)).collect();
    let services: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| Services::attach(&directory, Wanted::Both).unwrap()))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let mut seen: BTreeSet<_> = services.iter().map(pids).collect();
    seen.extend(holders.iter_mut().map(Holder::pids));
    assert_eq!(seen.len(), 1, "{seen:?}");
    holders.into_iter().for_each(Holder::leave);
    assert_eq!(pids(&services[0]), *seen.first().unwrap());
}

#[test]
fn servers_hold_none_of_the_streams_of_the_process_that_started_them() {
    let directory = quick();
    let mut holder = Holder::start(&directory);
    holder.pids();
    // Held, so that the servers live while the pipe of their starter is read to its end.
    let _services = Services::attach(&directory, Wanted::Both).unwrap();
    holder.leave();
    assert_eq!(Lifelines::of(&directory).held(), 2);
}

#[test]
fn servers_end_and_a_private_directory_goes_when_the_last_user_drops() {
    let directory = quick();
    let first = Services::attach(&directory, Wanted::Both).unwrap();
    let second = Services::attach(&directory, Wanted::Both).unwrap();
    let servers = Lifelines::of(&directory);
    drop(first);
    assert_eq!(servers.held(), 2);
    drop(second);
    wait_until("the servers are gone", || servers.held() == 0);
    wait_until("the directory is gone", || !directory.path().exists());
}

#[test]
fn servers_end_when_their_only_user_is_killed() {
    let directory = quick();
    let mut holder = Holder::start(&directory);
    holder.pids();
    let servers = Lifelines::of(&directory);
    holder.child.kill().unwrap();
    holder.child.wait().unwrap();
    wait_until("the servers are gone", || servers.held() == 0);
    wait_until("the directory is gone", || !directory.path().exists());
}

#[test]
fn the_servers_of_a_killed_guardian_are_adopted() {
    let directory = quick();
    let services = Services::attach(&directory, Wanted::Both).unwrap();
    let before = pids(&services);
    let servers = Lifelines::of(&directory);
    wait_until("the guardian runs", || guardian_pid(&directory).is_some());
    let killed = guardian_pid(&directory).unwrap();
    kill_process(pid(killed), Signal::KILL).unwrap();
    let lifeline = directory.file("guardian", "lock");
    wait_until("its lifeline is free", || {
        !Locked::is_held(&lifeline).unwrap()
    });
    drop(services);

    let services = Services::attach(&directory, Wanted::Both).unwrap();
    assert_eq!(pids(&services), before);
    wait_until("another runs", || guardian_pid(&directory) != Some(killed));
    drop(services);
    wait_until("the servers are gone", || servers.held() == 0);
}

#[test]
fn a_guardian_that_was_killed_while_it_stopped_the_servers_leaves_nothing_in_the_way() {
    let directory = quick();
    let services = Services::attach(&directory, Wanted::Redis).unwrap();
    wait_until("the guardian runs", || guardian_pid(&directory).is_some());
    kill_process(pid(guardian_pid(&directory).unwrap()), Signal::KILL).unwrap();
    fs::create_dir(directory.stopping()).unwrap();
    drop(services);
    let services = Services::attach(&directory, Wanted::Redis).unwrap();
    assert!(services.redis().unwrap().pid().is_some());
    assert!(!directory.stopping().exists());
}

#[test]
fn a_killed_server_is_started_again() {
    let directory = quick();
    let services = Services::attach(&directory, Wanted::Both).unwrap();
    let before = pids(&services);
    services.postgres().unwrap().stop(Stop::Kill).unwrap();
    services.redis().unwrap().stop(Stop::Kill).unwrap();
    assert_eq!(services.postgres().unwrap().pid(), None);
    assert_eq!(services.redis().unwrap().pid(), None);
    services.postgres().unwrap().start().unwrap();
    // What was not started by hand, the next to attach starts.
    let another = Services::attach(&directory, Wanted::Both).unwrap();
    let after = pids(&another);
    assert!(before.0 != after.0 && before.1 != after.1);
    assert_eq!(pids(&services), after);
}

#[test]
fn a_stopped_server_refuses_connections_until_it_is_started() {
    let directory = quick();
    let services = Services::attach(&directory, Wanted::Redis).unwrap();
    let socket = directory.socket("redis", "redis.sock").unwrap();
    let redis = services.redis().unwrap();
    redis.stop(Stop::Clean).unwrap();
    redis.stop(Stop::Clean).unwrap();
    assert!(UnixStream::connect(&socket).is_err());
    redis.start().unwrap();
    assert!(UnixStream::connect(&socket).is_ok());
}

#[test]
fn files_that_name_a_living_process_of_someone_else_do_not_keep_a_server_from_starting() {
    let directory = quick();
    let services = Services::attach(&directory, Wanted::Postgres).unwrap();
    let postgres = services.postgres().unwrap();
    postgres.stop(Stop::Kill).unwrap();
    let home = directory.home("postgres");
    let data = data_directory(&home);
    let ours = process::id().to_string();
    // As a crash leaves them whose process ids were given away since.
    for stale in [
        data.join("postmaster.pid"),
        home.join(".s.PGSQL.5432.lock"),
        home.join("server.pid"),
    ] {
        let text = fs::read_to_string(&stale).unwrap_or_default();
        let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
        fs::write(&stale, format!("{ours}\n{rest}")).unwrap();
    }
    assert_eq!(postgres.pid(), None);
    postgres.start().unwrap();
    assert_ne!(postgres.pid(), Some(process::id()));
}

#[test]
fn a_data_directory_that_was_never_finished_is_made_anew() {
    let directory = quick();
    let account = super::Account::for_servers().unwrap();
    directory.prepare(account.as_ref()).unwrap();
    let home = directory
        .prepare_home("postgres", account.as_ref())
        .unwrap();
    fs::create_dir(home.join("data-new")).unwrap();
    fs::write(home.join("data-new/PG_VERSION"), "half").unwrap();
    let _services = Services::attach(&directory, Wanted::Postgres).unwrap();
    assert!(!home.join("data-new").exists());
}

#[test]
fn a_server_that_cannot_start_is_told_with_its_last_words() {
    let directory = quick();
    let services = Services::attach(&directory, Wanted::Postgres).unwrap();
    let postgres = services.postgres().unwrap();
    postgres.stop(Stop::Clean).unwrap();
    let data = data_directory(&directory.home("postgres"));
    fs::remove_file(data.join("global/pg_control")).unwrap();
    let text = postgres.start().unwrap_err().to_string();
    assert!(
        text.starts_with("postgres ended before it was ready"),
        "{text}"
    );
    assert!(text.contains("could not open file"), "{text}");
}

#[test]
fn stop_ends_the_servers_at_once_but_only_for_the_last_user() {
    let mut directory = quick();
    directory.linger = Duration::from_secs(5);
    let first = Services::attach(&directory, Wanted::Both).unwrap();
    let second = Services::attach(&directory, Wanted::Both).unwrap();
    let servers = Lifelines::of(&directory);
    first.stop().unwrap();
    assert_eq!(servers.held(), 2);
    second.stop().unwrap();
    assert_eq!(servers.held(), 0);
}

#[test]
fn servers_of_a_directory_that_was_removed_by_hand_end() {
    let directory = quick();
    let _services = Services::attach(&directory, Wanted::Both).unwrap();
    let servers = Lifelines::of(&directory);
    wait_until("the guardian runs", || guardian_pid(&directory).is_some());
    // It notes the servers, then forgets the dead: after the second of these it has seen both servers.
    for _ in 0..2 {
        let dead = directory.users().join("999999999-0");
        fs::write(&dead, "").unwrap();
        wait_until("the dead are forgotten", || !dead.exists());
    }
    fs::rename(directory.path(), directory.path().with_extension("moved")).unwrap();
    wait_until("the servers are gone", || servers.held() == 0);
    fs::remove_dir_all(directory.path().with_extension("moved")).unwrap();
}

#[test]
fn urls_name_the_sockets() {
    let directory = quick();
    let services = Services::attach(&directory, Wanted::Both).unwrap();
    let path = directory.path().display();
    assert_eq!(
        services.database_url().unwrap(),
        format!("postgres://postgres@localhost/postgres?host={path}/postgres")
    );
    assert_eq!(
        services.database_url_of("a b").unwrap(),
        format!("postgres://postgres@localhost/a%20b?host={path}/postgres")
    );
    assert_eq!(
        services.redis_url().unwrap(),
        format!("redis+unix://{path}/redis/redis.sock")
    );
    let redis = Services::attach(&directory, Wanted::Redis).unwrap();
    assert_eq!(redis.database_url(), None);
    assert_eq!(redis.database_url_of("any"), None);
}

/// Holders come and go around the moment at which the guardian stops; whoever is attached must have a server all the time.
#[test]
#[ignore = "soak: a minute of holders that come and go"]
fn no_server_is_stopped_under_a_user() {
    for afterwards in [Afterwards::Keep, Afterwards::Remove] {
        let mut directory = quick();
        directory.linger = Duration::ZERO;
        directory.afterwards = afterwards;
        let end = Instant::now() + Duration::from_secs(30);
        thread::scope(|scope| {
            for seed in 1..=3_u64 {
                let directory = &directory;
                scope.spawn(move || come_and_go(directory, seed, end));
            }
        });
        wait_until("the guardian is gone", || {
            !directory.path().exists()
                || !Locked::is_held(&directory.file("guardian", "lock")).unwrap()
        });
        if afterwards == Afterwards::Keep {
            fs::remove_dir_all(directory.path()).unwrap();
        }
    }
}

fn come_and_go(directory: &Directory, seed: u64, end: Instant) {
    let mut random = seed;
    let mut rounds = 0;
    let mut pause = |limit_ms: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        thread::sleep(Duration::from_millis((random >> 33) % limit_ms));
    };
    let socket = directory.socket("redis", "redis.sock").unwrap();
    while Instant::now() < end {
        let services = Services::attach(directory, Wanted::Redis).unwrap();
        let before = services.redis().unwrap().pid();
        for _ in 0..3 {
            assert!(UnixStream::connect(&socket).is_ok(), "round {rounds}");
            pause(60);
        }
        assert_eq!(services.redis().unwrap().pid(), before, "round {rounds}");
        drop(services);
        pause(400);
        rounds += 1;
    }
    println!("{rounds} rounds");
}

/// The data directory in the home of Postgres, whatever the version.
fn data_directory(home: &Path) -> PathBuf {
    fs::read_dir(home)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.is_dir())
        .unwrap()
}
