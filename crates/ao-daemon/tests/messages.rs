//! Messages over the socket.

use ao_api::error::ErrorKind;
use ao_api::kill::KillRequest;
use ao_api::message::{MessageGoal, MessageWaitQuery, SendRequest};
use ao_api::session::WaitOutcome;

use crate::harness::{Home, add_app, spawn};

fn say(text: &str, key: Option<&str>) -> SendRequest {
    SendRequest { text: text.to_owned(), idempotency_key: key.map(str::to_owned) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_queued_once_stripped_and_listed() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    spawn(&client).await;
    let receipt = client.send("app-1", &say("fix\u{1b} it", Some("k"))).await.unwrap();
    assert_eq!((receipt.stripped, receipt.confirmed), (1, false));
    let again = client.send("app-1", &say("fix\u{1b} it", Some("k"))).await.unwrap();
    assert_eq!(again.message_id, receipt.message_id);
    let listed = client.messages("app-1").await.unwrap();
    assert_eq!(listed.iter().map(|it| it.text.as_str()).collect::<Vec<_>>(), ["fix it"]);
    let query = MessageWaitQuery { goal: MessageGoal::Idle, timeout_ms: Some(0) };
    let waited = client.wait_message(&receipt.message_id, &query).await.unwrap();
    assert_eq!(waited.outcome, WaitOutcome::TimedOut);
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_to_nobody() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    spawn(&client).await;
    let refused = async |id: &str, text: &str| {
        let body = client.send(id, &say(text, None)).await.unwrap_err().body();
        format!("{} {}", body.kind.http_status(), body.code)
    };
    assert_eq!(refused("app-1", "\u{7}").await, "400 MESSAGE_EMPTY");
    assert_eq!(refused("app-9", "hi").await, "404 SESSION_UNKNOWN");
    assert_eq!(refused("-x", "hi").await, "400 INVALID_ID");
    client.kill("app-1", &KillRequest::default()).await.unwrap();
    assert_eq!(refused("app-1", "hi").await, "409 SESSION_ENDED");
    let too_large = "x".repeat(3 * 1024 * 1024);
    let body = client.send("app-1", &say(&too_large, None)).await.unwrap_err().body();
    assert!(matches!(body.kind, ErrorKind::User | ErrorKind::Unreachable), "{body:?}");
    daemon.end().await;
}
