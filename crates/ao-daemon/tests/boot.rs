//! Starting, refusing to start, and ending.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ao_api::error::ErrorKind;
use ao_api::session::SessionsQuery;
use ao_api::status::ShutdownRequest;
use ao_daemon::Stop;

use crate::harness::{Home, add_app, spawn};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_tells_about_itself_and_goes_without_a_trace() {
    let home = Home::new();
    let daemon = home.start("").await;
    let status = home.client().status().await.unwrap();
    assert_eq!(status.pid, i32::try_from(std::process::id()).unwrap());
    assert_eq!(status.home, home.dir.path().display().to_string());
    let socket = home.layout().socket();
    assert_eq!((mode(&socket), mode(home.dir.path())), (0o600, 0o700));
    daemon.end().await;
    assert!(!socket.exists());
    let error = home.client().status().await.unwrap_err();
    assert_eq!(error.body().kind, ErrorKind::Unreachable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_of_one_home_is_refused_and_the_first_goes_on() {
    let home = Home::new();
    let daemon = home.start("").await;
    let refusal = home.open("", &Stop::new()).err().unwrap().body();
    assert_eq!((refusal.kind, refusal.code.as_str()), (ErrorKind::Conflict, "ALREADY_RUNNING"));
    assert!(home.client().status().await.unwrap().ready);
    daemon.end().await;
    home.start("").await.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_is_no_directory_is_refused_in_one_sentence() {
    let home = Home::new();
    let database = home.dir.path().join("ao.db");
    std::fs::create_dir(&database).unwrap();
    let refusal = home.open("", &Stop::new()).err().unwrap().body();
    assert_eq!(refusal.kind, ErrorKind::Failed, "{refusal:?}");
    assert!(refusal.message.contains("ao.db") && refusal.hint.is_some(), "{refusal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn until_it_is_ready_only_its_status_is_answered() {
    let home = Home::new();
    let stop = Stop::new();
    // Opened and not run: connections wait in the socket's queue until it serves.
    let daemon = home.open("", &stop).unwrap();
    let client = home.client();
    let asking = tokio::runtime::Handle::current().spawn(async move {
        (client.status().await, client.sessions(&SessionsQuery::default()).await)
    });
    let running = tokio::runtime::Handle::current().spawn(daemon.run());
    let (status, sessions) = asking.await.unwrap();
    assert!(status.is_ok());
    if let Err(error) = sessions {
        assert_eq!(error.body().code, "STARTING");
    }
    stop.request();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_run_on_when_the_daemon_is_asked_to_end() {
    let home = Home::new();
    let mut daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    let before = spawn(&client).await;
    let answer = client.shutdown(&ShutdownRequest { sessions: false }).await.unwrap();
    assert_eq!(answer.sessions, Vec::<String>::new());
    daemon.ended().await;
    let pid = before.handle.clone().unwrap().pid;
    assert!(home.machine.running().iter().any(|it| it.0 == pid), "the agent runs on");
    let daemon = home.start("").await;
    let after = client.session(&before.id).await.unwrap();
    assert_eq!((after.handle, after.phase), (before.handle, before.phase));
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_end_with_the_daemon_when_that_is_asked_for() {
    let home = Home::new();
    let mut daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    let session = spawn(&client).await;
    let answer = client.shutdown(&ShutdownRequest { sessions: true }).await.unwrap();
    assert_eq!(answer.sessions, [session.id]);
    daemon.ended().await;
    let pid = session.handle.unwrap().pid;
    assert!(home.machine.running().iter().all(|it| it.0 != pid), "the agent is gone");
}
