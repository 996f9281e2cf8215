//! Signals that no daemon took in at once.

use ao_api::event::EventsQuery;
use ao_api::signal::{ReportState, SignalRequest};
use ao_api::spool::{FILES_MAX, Spool};
use ao_api::status::SpoolCounts;

use crate::harness::{Home, add_app, eventually, report, running, spawn, spawn_request};

fn spool(home: &Home) -> Spool {
    Spool::new(home.layout().spool_dir())
}

/// Puts signals where `ao report` leaves them.
fn put(home: &Home, session: &str, requests: &[SignalRequest]) {
    for request in requests {
        spool(home).write(session, request).unwrap();
    }
}

async fn counts(home: &Home) -> SpoolCounts {
    home.client().status().await.unwrap().spool
}

async fn nothing_waits(home: &Home) {
    eventually("nothing waits in the spool", async || counts(home).await.waiting == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_meanwhile_is_taken_in_by_its_own_order() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    let session = spawn(&client).await;
    let before = client.session("app-1").await.unwrap();
    daemon.end().await;
    // The names of the files tell the reverse.
    let first = report(&home, "f2", session.launch_id.clone(), ReportState::Active);
    home.clock.advance(std::time::Duration::from_secs(1));
    let second = report(&home, "f1", session.launch_id.clone(), ReportState::WaitingInput);
    home.clock.advance(std::time::Duration::from_secs(1));
    let fenced = report(&home, "f0", Some("another".to_owned()), ReportState::Idle);
    put(&home, "app-1", &[first, second, fenced]);
    let garbage = home.layout().spool_dir().join("app-1/00.json");
    std::fs::write(&garbage, "{\"version\":1").unwrap();

    let daemon = home.start("").await;
    let after = client.session("app-1").await.unwrap();
    assert_eq!(after.status, "needs_input");
    let events = client.events(&EventsQuery::default()).await.unwrap().events;
    let became: Vec<_> = events
        .iter()
        .filter(|event| event.revision > Some(before.lifecycle.revision))
        .filter_map(|event| event.became.as_deref())
        .collect();
    let [working, asking] = ["working", "needs_input"]
        .map(|state| became.iter().position(|became| became.starts_with(state)));
    assert!(working.is_some() && working < asking, "{became:?}");
    assert_eq!(counts(&home).await, SpoolCounts { waiting: 0, lost: 0, unreadable: 1 });
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_meanwhile_is_known_before_anything_is_decided() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    let session = spawn(&client).await;
    daemon.end().await;
    // A pass that does not know of the claim takes this for a crash, for good.
    let done = report(&home, "f1", session.launch_id, ReportState::Done);
    put(&home, "app-1", &[done]);
    let pid = session.handle.unwrap().pid;
    let agent = home.machine.running().into_iter().find(|it| it.0 == pid).unwrap();
    home.machine.exit_process(agent, 0);

    let daemon = home.start("").await;
    let query = ao_api::session::WaitQuery {
        status: Some("done".to_owned()),
        ..ao_api::session::WaitQuery::default()
    };
    let waited = client.wait("app-1", &query).await.unwrap();
    assert_eq!(waited.session.status, "done", "{waited:#?}");
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_went_both_ways_is_taken_in_once() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    let session = spawn(&client).await;
    let asked = report(&home, "f1", session.launch_id, ReportState::WaitingInput);
    assert!(client.signal("app-1", &asked).await.unwrap().taken);
    let before = client.session("app-1").await.unwrap();
    put(&home, "app-1", std::slice::from_ref(&asked));
    nothing_waits(&home).await;
    let after = client.session("app-1").await.unwrap();
    assert_eq!(after.lifecycle, before.lifecycle);
    assert!(!client.signal("app-1", &asked).await.unwrap().taken);
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_only_after_its_signal_is_committed() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    home.machine.set_exec_held(true);
    let session = client.spawn(&spawn_request()).await.unwrap();
    eventually("the launch has a name", async || {
        client.session("app-1").await.unwrap().launch_id.is_some()
    })
    .await;
    let launch = client.session("app-1").await.unwrap().launch_id;
    put(&home, "app-1", &[report(&home, "f1", launch, ReportState::WaitingInput)]);
    // Sessions are drained by name: once the later one was, the earlier one was looked at.
    put(&home, "ghost-1", &[report(&home, "f2", Some("l".to_owned()), ReportState::Idle)]);
    let later = home.layout().spool_dir().join("ghost-1");
    eventually("signals of no session are dropped", async || !later.exists()).await;
    assert_eq!(counts(&home).await.waiting, 1, "its launch is not committed");

    home.machine.set_exec_held(false);
    running(&client, &session.id).await;
    nothing_waits(&home).await;
    // At once: what is gone from the spool is in the database.
    let after = client.session("app-1").await.unwrap();
    assert_eq!(after.activity.as_deref(), Some("waiting_input"));
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_is_shown_and_stays_shown() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    let session = spawn(&client).await;
    daemon.end().await;
    for n in 0..FILES_MAX + 2 {
        let state = if n > FILES_MAX { ReportState::WaitingInput } else { ReportState::Active };
        let asked = report(&home, &format!("{n:04}"), session.launch_id.clone(), state);
        put(&home, "app-1", &[asked]);
    }
    let expected = SpoolCounts { waiting: 0, lost: 2, unreadable: 0 };
    for _ in 0..2 {
        let daemon = home.start("").await;
        assert_eq!(counts(&home).await, expected);
        assert_eq!(client.session("app-1").await.unwrap().status, "needs_input");
        let explained = client.explain("app-1").await.unwrap();
        let told: Vec<_> =
            explained.facts.iter().filter(|fact| fact.kind == "signals_lost").collect();
        assert_eq!(told.len(), 1, "{explained:#?}");
        assert!(told[0].value.starts_with("2 in all") && told[0].at.is_some(), "{told:?}");
        daemon.end().await;
    }
}
