//! Probes of small agents on the loopback, and a caller that waits for what they bring.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::RawQuery, routing::get};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use super::{
    choice::{Primary, Route},
    testing::waited_for,
    *,
};
use crate::role::{Phase, Report};

/// For what must come.
const PATIENCE: Duration = Duration::from_mins(1);
/// Answers are asked for often and hold for ever.
const LASTING: Times = Times {
    every: Duration::from_millis(5),
    connected: Duration::from_secs(20),
    answered: Duration::from_secs(20),
    fresh: Duration::from_hours(1),
    busy: Duration::from_hours(1),
    outage: Duration::from_hours(1),
};

/// What a small agent does with a question.
#[derive(Clone)]
enum Does {
    Answers(Value),
    Hangs,
    Refuses,
}

/// As a store of a newer release says it, which may be in a phase that is not known here.
fn says(pod: u32, epoch: u64, serving: bool) -> Does {
    let report = Report {
        pod: format!("s-store-0-{pod}"),
        epoch,
        serving,
        phase: if serving { Phase::Primary } else { Phase::InSync },
        in_sync: true,
        message: String::new(),
        lag: None,
        progress: None,
        stale_takeover: None,
    };
    let mut said = serde_json::to_value(report).unwrap();
    said["phase"] = json!("Newly invented");
    Does::Answers(said)
}

/// A store's agent, as far as gateways see it.
struct Agent {
    address: IpAddr,
    port: u16,
    does: Arc<Mutex<Does>>,
    /// The query of each question.
    asked: mpsc::UnboundedReceiver<Option<String>>,
    server: JoinHandle<()>,
}

impl Agent {
    fn start(listener: TcpListener, does: Does) -> Self {
        let (at, does) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(does)));
        let (sender, asked) = mpsc::unbounded_channel();
        let doing = does.clone();
        let answer = async move |RawQuery(query): RawQuery| {
            let _ = sender.send(query);
            let does = doing.lock().unwrap().clone();
            match does {
                Does::Answers(value) => Ok(Json(value)),
                Does::Hangs => std::future::pending().await,
                Does::Refuses => Err(axum::http::StatusCode::SERVICE_UNAVAILABLE),
            }
        };
        let routes = Router::new().route("/role", get(answer));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address: at.ip(), port: at.port(), does, asked, server }
    }

    fn now(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    /// The next question's query.
    async fn asked(&mut self) -> Option<String> {
        timeout(PATIENCE, self.asked.recv()).await.unwrap().unwrap()
    }

    /// Ends it; nobody listens there any more.
    async fn kill(self) -> (IpAddr, u16) {
        self.server.abort();
        assert!(self.server.await.unwrap_err().is_cancelled());
        (self.address, self.port)
    }
}

/// Two agents at the same port, and the stores that are probed there.
struct World {
    even: Agent,
    odd: Agent,
    stores: Stores,
    probing: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.probing.abort();
    }
}

async fn listeners() -> (TcpListener, TcpListener) {
    loop {
        let even = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = even.local_addr().unwrap().port();
        if let Ok(odd) = TcpListener::bind(("127.0.0.2", port)).await {
            return (even, odd);
        }
    }
}

async fn world(even: Does, odd: Does, times: Times) -> World {
    let (a, b) = listeners().await;
    let (even, odd) = (Agent::start(a, even), Agent::start(b, odd));
    let hosts = [("s-store-0-0.invalid", even.address), ("s-store-0-1.invalid", odd.address)];
    let stores = Stores {
        resolver: Resolver::that_knows(hosts),
        ..Stores::new("s-store-{shard}-{pod}.invalid").paired(1, times, even.port)
    };
    let probing = tokio::spawn(stores.probing().unwrap());
    World { even, odd, stores, probing }
}

/// Waits until the route is as wanted.
async fn until(routes: &mut watch::Receiver<Route>, wanted: impl FnMut(&Route) -> bool) -> Route {
    *timeout(PATIENCE, routes.wait_for(wanted)).await.unwrap().unwrap()
}

async fn until_primary(world: &World, wanted: Option<(u32, u64)>) -> Route {
    let mut routes = world.stores.shard(0).routes();
    until(&mut routes, |route| route.primary().map(|it| (it.pod, it.epoch)) == wanted).await
}

#[tokio::test]
async fn mail_follows_the_highest_epoch_that_says_it_serves() {
    let world = world(says(0, 4, true), says(1, 3, false), LASTING).await;
    until_primary(&world, Some((0, 4))).await;
    world.odd.now(says(1, 5, true));
    let route = until_primary(&world, Some((1, 5))).await;
    let Some(Primary { address, .. }) = route.primary() else { panic!("{route:?}") };
    assert_eq!(address, world.odd.address);
    let found = world.stores.locate(0, 2003, Instant::now()).await.unwrap();
    assert_eq!(found, (address, 2003).into());
    // The former one says what it said before, and is chosen again only once the other does not serve.
    world.odd.now(says(1, 5, false));
    until_primary(&world, Some((0, 4))).await;
    world.even.now(says(0, 5, false));
    until_primary(&world, None).await;
}

#[tokio::test]
async fn a_store_that_was_killed_is_left_at_once_and_found_when_it_comes_back() {
    let mut world = world(says(0, 4, true), says(1, 4, false), LASTING).await;
    until_primary(&world, Some((0, 4))).await;
    let (_, nobody) = listeners().await;
    let even = std::mem::replace(&mut world.even, Agent::start(nobody, Does::Hangs));
    let (address, port) = even.kill().await;
    // Its word would hold for an hour.
    until_primary(&world, None).await;
    let probed = world.stores.probed().unwrap();
    assert!(probed[0].said.is_some_and(|said| said.epoch == 4 && !said.serving), "{probed:?}");

    let waiting = world.stores.locate(0, 143, Instant::now() + PATIENCE);
    let back = async {
        waited_for(&world.stores, 0).await;
        Agent::start(TcpListener::bind((address, port)).await.unwrap(), says(0, 6, true))
    };
    let (found, _even) = timeout(PATIENCE, async { tokio::join!(waiting, back) }).await.unwrap();
    assert_eq!(found.unwrap(), (address, 143).into());
}

#[tokio::test]
async fn one_that_hangs_is_left_later_than_one_that_answers_nothing() {
    let times = Times {
        answered: Duration::from_millis(20),
        fresh: Duration::from_secs(2),
        busy: Duration::from_secs(3),
        ..LASTING
    };
    let absent = async |does: Does| {
        let world = world(says(0, 4, true), says(1, 4, false), times).await;
        until_primary(&world, Some((0, 4))).await;
        world.even.now(does);
        let Route::Nowhere { since } = until_primary(&world, None).await else { panic!() };
        let probed = world.stores.shard(0).probed(since);
        Duration::from_millis(probed[0].said.unwrap().age_millis)
    };
    let (hung, refusing) = tokio::join!(absent(Does::Hangs), absent(Does::Refuses));
    assert!(hung >= times.busy && refusing >= times.fresh, "{hung:?} {refusing:?}");
}

#[tokio::test]
async fn each_store_is_told_how_long_ago_the_other_answered() {
    let (even, odd) = (says(0, 4, true), says(1, 4, false));
    let mut world = world(even, odd, LASTING).await;
    until_primary(&world, Some((0, 4))).await;
    let age = |query: Option<String>| query?.strip_prefix("other=")?.parse::<u64>().ok();
    let told = async {
        while age(world.odd.asked().await).is_none() {}
        while age(world.even.asked().await).is_none() {}
        world.even.now(Does::Hangs);
        // It grows, probe after probe.
        while age(world.odd.asked().await).unwrap() < 100 {}
    };
    timeout(PATIENCE, told).await.unwrap();
}

#[tokio::test]
async fn nothing_is_told_of_a_store_that_never_answered_and_no_other_is_taken_for_it() {
    // Both addresses were given to pods of another shard.
    let other = |pod| Does::Answers(json!({ "pod": pod, "epoch": 9, "serving": true }));
    let mut world = world(other("s-store-1-0"), other("s-store-1-1"), LASTING).await;
    for _ in 0..5 {
        assert_eq!((world.even.asked().await, world.odd.asked().await), (None, None));
    }
    assert!(world.stores.shard(0).routes().borrow().primary().is_none());
    let told = serde_json::to_value(world.stores.probed().unwrap()).unwrap();
    assert_eq!(told, json!([{ "shard": 0, "pod": 0 }, { "shard": 0, "pod": 1 }]));
}
