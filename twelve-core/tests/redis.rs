//! The pool and subscriptions, on a real Redis of the test's own.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::{task::spawn_blocking, time::timeout};
use twelve::services::{Directory, Error, Server, Services, Stop, Wanted};
use twelve_core::redis::{self, AsyncCommands, RedisResult, cmd, pipe};
use twelve_core::{
    Context, Environment, Failure, Identity, Lifecycle, Redis, RedisConnection, Registry,
};

/// Longer than anything here takes.
const BOUND: Duration = Duration::from_secs(10);

async fn server() -> (Services, Redis) {
    let attaching = spawn_blocking(|| Services::attach(&Directory::private(), Wanted::Redis));
    let services = attaching.await.unwrap().unwrap();
    let redis = redis_at(services.redis_url().unwrap());
    (services, redis)
}

fn redis_at(url: &str) -> Redis {
    let environment = Environment::default().with("REDIS_URL", url);
    let context = Context::new(
        Identity::new("shop", "live"),
        environment,
        Lifecycle::default(),
        Registry::default(),
    );
    context.redis().unwrap()
}

async fn publish(redis: &Redis, channel: &str, payload: &str) {
    let mut connection = redis.connection().await.unwrap();
    let _: () = connection.publish(channel, payload).await.unwrap();
}

#[tokio::test]
async fn what_is_published_arrives_in_its_order_and_nothing_else_does() {
    let (services, redis) = server().await;
    let mut some = redis.subscribe(&["tea", "coffee"]).await.unwrap();
    let mut all = redis.psubscribe(&["*"]).await.unwrap();
    for (channel, payload) in [("tea", "1"), ("cups", "2"), ("coffee", "3")] {
        publish(&redis, channel, payload).await;
    }
    let message = |channel: &str, payload: &str| (channel.to_owned(), payload.as_bytes().to_vec());
    for expected in [message("tea", "1"), message("coffee", "3")] {
        assert_eq!(timeout(BOUND, some.next()).await.unwrap(), Some(expected));
    }
    for expected in [message("tea", "1"), message("cups", "2")] {
        assert_eq!(timeout(BOUND, all.next()).await.unwrap(), Some(expected));
    }
    stop(services).await;
}

#[tokio::test]
async fn a_subscription_ends_with_its_connection_and_another_may_be_made() {
    let (services, redis) = server().await;
    let mut news = redis.subscribe(&["news"]).await.unwrap();
    let services = acting(services, |server| server.stop(Stop::Kill)).await;
    assert_eq!(timeout(BOUND, news.next()).await.unwrap(), None);

    let begun = Instant::now();
    let error = redis.subscribe(&["news"]).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(3));

    let services = acting(services, Server::start).await;
    let mut news = redis.subscribe(&["news"]).await.unwrap();
    publish(&redis, "news", "again").await;
    let heard = timeout(BOUND, news.next()).await.unwrap().unwrap();
    assert_eq!(heard, ("news".to_owned(), b"again".to_vec()));
    stop(services).await;
}

#[tokio::test]
async fn a_subscriber_that_falls_behind_is_cut_off_and_not_stored_for() {
    let (services, redis) = server().await;
    let mut news = redis.subscribe(&["news"]).await.unwrap();
    for number in 0..2_000 {
        publish(&redis, "news", &number.to_string()).await;
    }
    let taking = async {
        let mut taken = 0;
        while news.next().await.is_some() {
            taken += 1;
        }
        taken
    };
    assert_eq!(timeout(BOUND, taking).await.unwrap(), 1024);
    stop(services).await;
}

/// A server that lets connect and then says nothing.
#[tokio::test]
async fn a_silent_server_is_given_up_within_two_seconds() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let redis = redis_at(&format!("redis://{}", silent.local_addr().unwrap()));
    let begun = Instant::now();
    let error = redis.subscribe(&["news"]).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// A server that is paused, as its whole machine may be: the kernel keeps the connection up.
#[tokio::test]
async fn a_subscription_ends_when_its_server_falls_silent() {
    let (services, redis) = server().await;
    let mut news = redis.subscribe(&["news"]).await.unwrap();
    let pid = services.redis().unwrap().pid().unwrap();
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let ended = timeout(2 * BOUND, news.next()).await;
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!(ended.unwrap(), None);
    stop(services).await;
}

/// What the server says of itself is an outage, and what it says of a command is not: as a real one says it.
#[tokio::test]
async fn an_answer_that_another_moment_may_change_is_an_outage_and_a_mistake_is_not() {
    let (services, redis) = server().await;
    let mut own = connection(&redis).await;
    let () = own.set("text", "a").await.unwrap();
    let () = own.lpush("list", "a").await.unwrap();
    for mistake in [
        "INCR text",
        "GET list",
        "EVALSHA 0 0",
        "NOSUCH",
        "SELECT 99999",
    ] {
        let failure = failure_of(&redis, mistake).await.unwrap();
        assert!(!failure.is_unavailable(), "{mistake}: {failure}");
    }
    let write = "SET text b";
    let script = "EVAL redis.call('set','text','b') 0";
    let set = "CONFIG SET ";
    for (cause, command, code, cure) in [
        (
            "min-replicas-to-write 1",
            write,
            "NOREPLICAS",
            "min-replicas-to-write 0",
        ),
        ("maxmemory 1", write, "OOM", "maxmemory 0"),
    ] {
        expect_done(&redis, &format!("{set}{cause}")).await;
        let failure = failure_of(&redis, command).await.unwrap();
        assert!(failure.to_string().contains(code), "{failure}");
        assert!(failure.is_unavailable(), "{failure}");
        expect_done(&redis, &format!("{set}{cure}")).await;
        assert!(
            failure_of(&redis, command).await.is_none(),
            "{code} is over"
        );
    }
    // A replica of nobody.
    expect_done(&redis, "CONFIG SET replica-serve-stale-data no").await;
    expect_done(&redis, "REPLICAOF 127.0.0.1 1").await;
    for (command, code) in [
        (write, "READONLY"),
        ("GET text", "MASTERDOWN"),
        (script, "MASTERDOWN"),
    ] {
        let failure = failure_of(&redis, command).await.unwrap();
        let text = failure.to_string().to_uppercase();
        assert!(text.contains(code), "{failure}");
        assert!(failure.is_unavailable(), "{failure}");
    }
    expect_done(&redis, "CONFIG SET replica-serve-stale-data yes").await;
    let failure = failure_of(&redis, script).await.unwrap();
    assert!(failure.is_unavailable(), "{failure}");
    let mut transaction = pipe();
    transaction.atomic().set("text", "b").get("text");
    let aborted = transaction.exec_async(&mut own).await.unwrap_err();
    let failure = Failure::from(aborted);
    assert!(failure.is_unavailable(), "{failure}");
    stop(services).await;
}

/// The command that waits is told so when its server becomes a replica.
#[tokio::test]
async fn a_blocked_command_that_ends_with_the_role_is_an_outage() {
    let (services, redis) = server().await;
    let (mut waiting, mut other) = (connection(&redis).await, connection(&redis).await);
    let popping = async {
        let popped: RedisResult<redis::Value> = waiting.blpop("list", 0.0).await;
        Failure::from(popped.unwrap_err())
    };
    let demoting = async {
        until_a_client_is_blocked(&mut other).await;
        let () = cmd("REPLICAOF")
            .arg(&["127.0.0.1", "1"])
            .query_async(&mut other)
            .await
            .unwrap();
    };
    let (failure, ()) = timeout(BOUND, async { tokio::join!(popping, demoting) })
        .await
        .unwrap();
    assert!(failure.to_string().contains("UNBLOCKED"), "{failure}");
    assert!(failure.is_unavailable(), "{failure}");
    stop(services).await;
}

/// The idle ones are as old as the one that was refused, and lead to the same server.
#[tokio::test]
async fn a_refusal_gives_up_all_connections_of_that_age() {
    let (services, redis) = server().await;
    let before = three_ids(&redis).await;
    // The control: without a refusal they are used again.
    assert_eq!(three_ids(&redis).await, before);
    expect_done(&redis, "REPLICAOF 127.0.0.1 1").await;
    failure_of(&redis, "SET text b").await.unwrap();
    let after = three_ids(&redis).await;
    assert!(after.is_disjoint(&before), "{before:?} {after:?}");
    stop(services).await;
}

/// The answer to what was given up would come to the next one who asks, or block it.
#[tokio::test]
async fn a_connection_whose_answer_was_not_waited_for_is_not_used_again() {
    let (services, redis) = server().await;
    let mut blocked = connection(&redis).await;
    let given_up = timeout(
        Duration::from_millis(50),
        blocked.blpop::<_, redis::Value>("list", 0.0),
    );
    assert!(given_up.await.is_err());
    drop(blocked);
    let begun = Instant::now();
    let () = connection(&redis).await.set("text", "a").await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_millis(900),
        "{:?}",
        begun.elapsed()
    );
    stop(services).await;
}

/// A replica passes on what is published on its primary, but not while it loads its data or has lost it.
#[tokio::test]
async fn a_subscription_ends_when_its_server_becomes_a_replica() {
    let (services, redis) = server().await;
    let mut news = redis.subscribe(&["news"]).await.unwrap();
    expect_done(&redis, "REPLICAOF 127.0.0.1 1").await;
    assert_eq!(timeout(2 * BOUND, news.next()).await.unwrap(), None);
    // One that begins at a replica is no worse than it was.
    let mut news = redis.subscribe(&["news"]).await.unwrap();
    publish(&redis, "news", "here").await;
    let heard = timeout(BOUND, news.next()).await.unwrap().unwrap();
    assert_eq!(heard, ("news".to_owned(), b"here".to_vec()));
    stop(services).await;
}

#[tokio::test]
async fn a_subscription_is_given_up_with_the_connections_of_its_age() {
    let (services, redis) = server().await;
    let mut news = redis.subscribe(&["news"]).await.unwrap();
    expect_done(&redis, "REPLICAOF 127.0.0.1 1").await;
    failure_of(&redis, "SET text b").await.unwrap();
    // Sooner than it would have asked for the role.
    let ended = timeout(Duration::from_secs(5), news.next()).await;
    assert_eq!(ended.unwrap(), None);
    stop(services).await;
}

async fn connection(redis: &Redis) -> RedisConnection {
    redis.connection().await.unwrap()
}

/// What `?` would make of it in a handler.
async fn failure_of(redis: &Redis, line: &str) -> Option<Failure> {
    let mut words = line.split(' ');
    let mut command = cmd(words.next().unwrap());
    let done = command.arg(words.collect::<Vec<_>>());
    let done = done.exec_async(&mut connection(redis).await).await;
    done.err().map(Failure::from)
}

async fn expect_done(redis: &Redis, line: &str) {
    let failure = failure_of(redis, line).await;
    assert!(failure.is_none(), "{line}: {failure:?}");
}

/// The server's own numbers of three connections of the pool.
async fn three_ids(redis: &Redis) -> BTreeSet<u64> {
    let mut ids = BTreeSet::new();
    let mut connections = Vec::new();
    for _ in 0..3 {
        let mut connection = connection(redis).await;
        let id = cmd("CLIENT").arg("ID").query_async(&mut connection).await;
        ids.insert(id.unwrap());
        connections.push(connection);
    }
    ids
}

async fn until_a_client_is_blocked(connection: &mut RedisConnection) {
    let waiting = async {
        loop {
            let info: String = cmd("INFO")
                .arg("clients")
                .query_async(connection)
                .await
                .unwrap();
            if info.contains("blocked_clients:1") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    timeout(BOUND, waiting).await.unwrap();
}

/// The launcher blocks, and may not hold up a runtime.
async fn acting(services: Services, act: fn(&Server) -> Result<(), Error>) -> Services {
    let acting = spawn_blocking(move || {
        act(services.redis().unwrap()).unwrap();
        services
    });
    acting.await.unwrap()
}

async fn stop(services: Services) {
    spawn_blocking(|| services.stop()).await.unwrap().unwrap();
}
