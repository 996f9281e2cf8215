//! Restores over the socket.

use std::collections::BTreeMap;

use ao_api::kill::KillRequest;
use ao_api::restore::RestoreRequest;
use ao_api::signal::ReportState;
use ao_core::ids::SessionId;

use crate::harness::{Home, add_app, eventually, report, running, spawn};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_died_is_brought_back_and_a_running_one_is_refused() {
    let home = Home::new();
    let daemon = home.start("[defaults]\nenv = { FROM = \"project\" }\n").await;
    let client = home.client();
    add_app(&client).await;
    let first = spawn(&client).await;
    assert_eq!(first.restore, None, "it lives");
    let asked = report(&home, "f1", first.launch_id.clone(), ReportState::Active);
    assert!(client.signal("app-1", &asked).await.unwrap().taken);
    let refused = client.restore("app-1", &RestoreRequest::default()).await.unwrap_err().body();
    assert_eq!((refused.code.as_str(), refused.kind.http_status()), ("SESSION_LIVE", 409));
    assert!(refused.hint.is_some());

    let id = SessionId::parse("app-1").unwrap();
    home.machine.kill_process(home.machine.agent_of(&id).unwrap().pid);
    eventually("it ended", async || {
        let restore = client.session("app-1").await.unwrap().restore;
        restore.is_some_and(|it| it.possible && it.lost && it.reason.is_none())
    })
    .await;
    let asked = RestoreRequest {
        env: BTreeMap::new(),
        caller_env: BTreeMap::from([("TERM".to_owned(), "caller".to_owned())]),
    };
    let restored = client.restore("app-1", &asked).await.unwrap();
    assert_eq!(restored.lost, ["a turn was running and is interrupted"]);
    assert_eq!(restored.session.lifecycle.session.reason, "restore_requested");
    assert_ne!(restored.session.launch_id, first.launch_id);
    let second = running(&client, "app-1").await;
    assert_eq!(second.restore, None);
    let late = report(&home, "f2", first.launch_id, ReportState::Blocked);
    assert!(!client.signal("app-1", &late).await.unwrap().taken, "of the ended launch");

    let launch = ao_core::ids::LaunchId::parse(second.launch_id.unwrap()).unwrap();
    let file = ao_core::ports::Launches::read(&home.machine, &launch).await.unwrap().unwrap();
    assert_eq!(file.env["FROM"], "project");
    assert_eq!(file.env.get("TERM"), None, "what is of the caller's terminal stays there");
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_session_is_nobodys_loss_and_can_be_restored_all_the_same() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    spawn(&client).await;
    client.kill("app-1", &KillRequest::default()).await.unwrap();
    let restore = client.session("app-1").await.unwrap().restore.unwrap();
    assert!(restore.possible && !restore.lost, "{restore:?}");
    client.restore("app-1", &RestoreRequest::default()).await.unwrap();
    running(&client, "app-1").await;
    let unknown = client.restore("app-9", &RestoreRequest::default()).await.unwrap_err().body();
    assert_eq!(unknown.code, "SESSION_UNKNOWN");
    daemon.end().await;
}
