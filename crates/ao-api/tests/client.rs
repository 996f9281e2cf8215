//! What the client makes of answers, refusals and silence.

use std::time::Duration;

use ao_api::agents::CallerRequest;
use ao_api::client::StreamItem;
use ao_api::event::Reset;
use ao_api::session::{Phase, SessionsQuery, WaitQuery};
use ao_api::{Client, ClientError, ErrorKind};

use crate::server::{self, Server};

fn client(server: &Server) -> Client {
    Client::new(server.home().join("daemon.sock"))
}

const SENT: &str = r#"{"session":"app-1","message_id":"m-1","state":"queued","reason":null,"confirmed":false,"stripped":2}"#;

#[tokio::test]
async fn a_request_is_sent_as_the_route_table_says() {
    let server = Server::listen();
    let client = client(&server);
    let request = ao_api::message::SendRequest { text: "hé\n".to_owned(), idempotency_key: None };
    let sent = client.send("app-1", &request);
    let receipt = server.during(|_| server::json(202, SENT), sent).await.unwrap();
    assert_eq!((receipt.message_id.as_str(), receipt.stripped), ("m-1", 2));
    let asked = server.asked();
    assert_eq!(asked[0].line, "POST /api/v1/sessions/app-1/messages");
    assert_eq!(asked[0].body, r#"{"text":"hé\n","idempotency_key":null}"#);
    assert_eq!(client.daemon_version(), Some(ao_api::VERSION));
}

#[tokio::test]
async fn a_query_leaves_out_what_was_not_asked_for() {
    let server = Server::listen();
    let client = client(&server);
    let query = SessionsQuery { project: Some("a b&c".to_owned()), all: true };
    let wait = WaitQuery { left_phase: Some(Phase::Worktree), ..WaitQuery::default() };
    let work = async {
        client.sessions(&query).await.unwrap();
        drop(client.wait("app-1", &wait).await);
    };
    server.during(|_| server::json(200, "[]"), work).await;
    let lines: Vec<String> = server.asked().into_iter().map(|asked| asked.line).collect();
    assert_eq!(
        lines,
        [
            "GET /api/v1/sessions?project=a+b%26c&all=true",
            "GET /api/v1/sessions/app-1/wait?left_phase=worktree",
        ]
    );
}

#[tokio::test]
async fn a_refusal_keeps_its_code_kind_and_hint() {
    let server = Server::listen();
    let envelope = r#"{"error":{"code":"SESSION_UNKNOWN","kind":"not_found","message":"there is no session `x`","hint":"`ao ls`"}}"#;
    let client = client(&server);
    let refused = server.during(|_| server::json(404, envelope), client.session("x")).await;
    let body = refused.unwrap_err().body();
    assert_eq!((body.code.as_str(), body.kind), ("SESSION_UNKNOWN", ErrorKind::NotFound));
    assert_eq!(
        (body.message.as_str(), body.hint.as_deref()),
        ("there is no session `x`", Some("`ao ls`"))
    );
}

#[tokio::test]
async fn a_daemon_of_an_earlier_release_is_named_as_the_cause() {
    let server = Server::listen();
    let envelope = r#"{"error":{"code":"UNKNOWN_ROUTE","kind":"not_found","message":"there is no route","hint":null}}"#;
    let client = client(&server);
    let answer = |_: &_| server::json_of("0.0.1", 404, envelope);
    let error = server.during(answer, client.doctor(&CallerRequest::default())).await.unwrap_err();
    assert!(
        matches!(&error, ClientError::OlderDaemon { daemon, .. } if daemon == "0.0.1"),
        "{error}"
    );
    assert!(error.body().hint.unwrap().contains("ao start"));
}

#[tokio::test]
async fn an_answer_that_is_none_is_told_from_a_refusal() {
    let server = Server::listen();
    let client = client(&server);
    let answer = |asked: &server::Asked| match asked.line.as_str() {
        "GET /api/v1/status" => server::json(200, "{}"),
        _ => server::json(502, "<html>"),
    };
    let work = async { (client.status().await.unwrap_err(), client.projects().await.unwrap_err()) };
    let (incomplete, foreign) = server.during(answer, work).await;
    assert!(matches!(&incomplete, ClientError::Malformed { .. }), "{incomplete}");
    assert!(matches!(&foreign, ClientError::Malformed { because, .. } if because.contains("502")));
}

#[tokio::test]
async fn no_daemon_is_unreachable_and_says_how_to_start_one() {
    let dir = tempfile::tempdir().unwrap();
    let absent = Client::new(dir.path().join("daemon.sock"));
    let left_behind = dir.path().join("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&left_behind).unwrap());
    for client in [absent, Client::new(left_behind)] {
        let body = client.status().await.unwrap_err().body();
        assert_eq!((body.code.as_str(), body.kind), ("DAEMON_UNREACHABLE", ErrorKind::Unreachable));
        assert_eq!(body.hint.as_deref(), Some("`ao start` starts it"));
    }
}

#[tokio::test]
async fn a_daemon_that_goes_away_may_have_done_it() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("daemon.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let hang_up = async { drop(listener.accept().await.unwrap()) };
    let client = Client::new(&socket);
    let (error, ()) = tokio::join!(client.projects(), hang_up);
    let body = error.unwrap_err().body();
    assert_eq!((body.code.as_str(), body.kind), ("DAEMON_WENT_AWAY", ErrorKind::Unreachable));
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_hangs_is_given_up() {
    let server = Server::listen();
    let client = client(&server).with_timeout(Duration::from_secs(3));
    let error = server
        .during(|_| server::without_end(server::events(&["["])), client.projects())
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { after, .. } if after.as_secs() == 3));
    assert_eq!(error.body().kind, ErrorKind::NotConfirmed);
}

#[tokio::test]
async fn a_stream_brings_changes_and_resets_and_ends() {
    let server = Server::listen();
    let change = r#"{"seq":7,"at":"2026-03-02T12:00:00.000Z","type":"session.changed","project":"app","session":"app-1","revision":2,"key":null,"became":"idle/task_in_progress"}"#;
    let reset = "event: reset\ndata: {\"oldest\":5,\"head\":9}\n\n";
    let (head, tail) = change.split_at(30);
    let first = format!(": hi\n\n{reset}event: change\nid: 7\ndata: {head}");
    let second = format!("{tail}\n\nevent: later\ndata: ?\n\n");
    let client = client(&server);
    let work = async {
        let mut stream = client.follow_events(Some(3)).await.unwrap();
        let mut items = Vec::new();
        while let Some(item) = stream.next().await.unwrap() {
            items.push(item);
        }
        items
    };
    let items = server.during(|_| server::events(&[&first, &second]), work).await;
    assert_eq!(items[0], StreamItem::Reset(Reset { oldest: 5, head: 9 }));
    assert!(matches!(&items[1], StreamItem::Change(event) if event.seq == 7));
    assert_eq!(items.len(), 2);
    let asked = server.asked();
    assert_eq!(asked[0].line, "GET /api/v1/events/stream?after=3");
    assert_eq!(asked[0].last_event_id.as_deref(), Some("3"));
}

#[tokio::test]
async fn a_stream_that_is_refused_says_why() {
    let server = Server::listen();
    let envelope =
        r#"{"error":{"code":"STARTING","kind":"unavailable","message":"not yet","hint":null}}"#;
    let client = client(&server);
    let opened = server.during(|_| server::json(503, envelope), client.follow_events(None)).await;
    let Err(error) = opened else { panic!("it was not refused") };
    assert_eq!(error.body().code, "STARTING");
}
