//! Subscriptions, on a real Redis of the test's own.

use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};
use tokio::{task::spawn_blocking, time::timeout};
use twelve::services::{Directory, Error, Server, Services, Stop, Wanted};
use twelve_core::{
    Context, Environment, Identity, Lifecycle, Redis, Registry, redis::AsyncCommands,
};

/// Longer than anything here takes.
const BOUND: Duration = Duration::from_secs(10);

async fn server() -> (Services, Redis) {
    let attaching = spawn_blocking(|| Services::attach(&Directory::private(), Wanted::Redis));
    let services = attaching.await.unwrap().unwrap();
    let redis = redis(services.redis_url().unwrap());
    (services, redis)
}

fn redis(url: &str) -> Redis {
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
    let redis = redis(&format!("redis://{}", silent.local_addr().unwrap()));
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
