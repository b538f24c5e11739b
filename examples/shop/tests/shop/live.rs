//! Orders as they change, over a real `WebSocket`.

use futures_util::StreamExt;
use serde_json::Value;
use std::time::Duration;
use tokio::{net::TcpStream, task::spawn_blocking, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message},
};
use twelve::{
    services::{Directory, Server, Services, Stop, Wanted},
    test::{Signal, TestApp, TestProcess},
};

use super::{LIMIT, SHOP, buy, configured, sign_up};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn watch(live: &TestProcess, token: &str) -> Result<Socket, tungstenite::Error> {
    let url = live.url().replace("http://", "ws://");
    let (socket, _) = connect_async(format!("{url}/live?token={token}")).await?;
    Ok(socket)
}

/// Waits until the customer is told so. The same may be told twice.
async fn until(socket: &mut Socket, order: &Value, status: &str) {
    let told = async {
        while let Some(message) = socket.next().await {
            if let Message::Text(text) = message.unwrap() {
                let change: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(change["order"], order["id"], "somebody else's order");
                if change["status"] == status {
                    return;
                }
            }
        }
        panic!("the socket has ended");
    };
    let told = timeout(LIMIT, told).await;
    assert!(told.is_ok(), "nobody says that it is {status}");
}

#[twelve::test(shop::app)]
async fn a_customer_sees_their_own_order_being_placed_and_paid(app: TestApp) {
    let app = configured(app);
    let mut payments = app.spawn(SHOP, &["payments"]).unwrap();
    let app = app.with_var("PAYMENTS_URL", payments.url());
    let mut live = app.spawn(SHOP, &["live"]).unwrap();
    live.ready(LIMIT).await;
    let (mine, yours) = (sign_up(&app).await, sign_up(&app).await);
    let mut socket = watch(&live, &mine).await.unwrap();
    buy(&app, &yours).await;
    let order = buy(&app, &mine).await;
    until(&mut socket, &order, "pending").await;

    payments.ready(LIMIT).await;
    let _worker = app.spawn(SHOP, &["worker"]).unwrap();
    until(&mut socket, &order, "paid").await;
    // Who comes later is told how things stand.
    let mut late = watch(&live, &mine).await.unwrap();
    until(&mut late, &order, "paid").await;
}

#[twelve::test(shop::app)]
async fn a_bad_token_is_refused(app: TestApp) {
    let mut live = app.spawn(SHOP, &["live"]).unwrap();
    live.ready(LIMIT).await;
    match watch(&live, "nobody's").await {
        Err(tungstenite::Error::Http(answer)) => {
            assert_eq!(answer.status().as_u16(), 401);
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[twelve::test(shop::app)]
async fn a_process_that_stops_sends_its_customers_away(app: TestApp) {
    let app = app.with_var("TWELVE_ANNOUNCE", "200ms");
    let mut live = app.spawn(SHOP, &["live"]).unwrap();
    live.ready(LIMIT).await;
    let token = sign_up(&app).await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(watch(&live, &token).await.unwrap());
    }
    live.signal(Signal::Term);
    for socket in &mut sockets {
        match timeout(LIMIT, socket.next()).await.unwrap() {
            Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1001),
            other => panic!("no closing frame: {other:?}"),
        }
        while let Some(Ok(_)) = timeout(LIMIT, socket.next()).await.unwrap() {}
    }
    assert_eq!(live.exit_code(LIMIT).await, 0);
}

#[twelve::test(shop::app)]
async fn without_redis_orders_are_placed_and_shown_once_it_is_back(app: TestApp) {
    let services = spawn_blocking(|| Services::attach(&Directory::private(), Wanted::Redis));
    let services = services.await.unwrap().unwrap();
    let app = app.with_var("REDIS_URL", services.redis_url().unwrap());
    let mut live = app.spawn(SHOP, &["live"]).unwrap();
    live.ready(LIMIT).await;
    let token = sign_up(&app).await;
    let mut socket = watch(&live, &token).await.unwrap();

    let services = acting(services, |server| server.stop(Stop::Kill)).await;
    let order = buy(&app, &token).await;
    let early = timeout(Duration::from_millis(300), socket.next()).await;
    assert!(early.is_err(), "{early:?}");
    let services = acting(services, Server::start).await;
    until(&mut socket, &order, "pending").await;
    spawn_blocking(|| services.stop()).await.unwrap().unwrap();
}

/// The launcher blocks, and may not hold up a runtime.
async fn acting(
    services: Services,
    act: fn(&Server) -> Result<(), twelve::services::Error>,
) -> Services {
    let acting = spawn_blocking(move || {
        act(services.redis().unwrap()).unwrap();
        services
    });
    acting.await.unwrap()
}
