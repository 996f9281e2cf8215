//! Sessions over the socket: started, found, waited for, explained, ended.

use std::path::Path;

use ao_api::Client;
use ao_api::error::ErrorKind;
use ao_api::kill::{KillRequest, WorkspaceOutcome};
use ao_api::replay::ReplayRequest;
use ao_api::session::{RenameRequest, ResolveQuery, SessionsQuery, WaitOutcome, WaitQuery};
use ao_api::signal::ReportState;
use ao_api::spawn::SpawnRequest;
use ao_api::terminal::OutputQuery;
use ao_core::ports::Clock as _;
use ao_testkit::scripted_agent::ScriptedAgent;

use crate::harness::{Home, add_app, eventually, report, spawn, spawn_request};

async fn refused(client: &Client, request: &SpawnRequest) -> String {
    let body = client.spawn(request).await.unwrap_err().body();
    assert!(!body.message.is_empty() && !body.message.ends_with('.'), "{body:?}");
    format!("{} {}", body.kind.http_status(), body.code)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_started_shown_and_ended() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    let session = spawn(&client).await;
    assert_eq!(session.id, "app-1");
    assert!(session.handle.is_some() && session.launch_id.is_some());
    let listed = client.sessions(&SessionsQuery::default()).await.unwrap();
    assert_eq!(listed.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["app-1"]);

    let killed = client.kill("app-1", &KillRequest::default()).await.unwrap();
    assert_eq!(killed.workspace, WorkspaceOutcome::Removed);
    assert_eq!(client.kill("app-1", &KillRequest::default()).await.unwrap(), killed);
    let ended = client.session("app-1").await.unwrap();
    assert_eq!(ended.status, "killed");
    assert!(client.sessions(&SessionsQuery::default()).await.unwrap().is_empty());
    let all = SessionsQuery { project: None, all: true };
    assert_eq!(client.sessions(&all).await.unwrap().len(), 1);
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_started_is_refused_with_its_code() {
    let home = Home::new();
    home.workspace.add_unborn_repo("/repos/fresh");
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    let ask = |edit: fn(&mut SpawnRequest)| {
        let mut request = spawn_request();
        edit(&mut request);
        request
    };
    let check = async |edit: fn(&mut SpawnRequest), expect: &str| {
        assert_eq!(refused(&client, &ask(edit)).await, expect);
    };
    check(|it| it.project = Some("none".to_owned()), "404 PROJECT_UNKNOWN").await;
    check(|it| it.project = Some("../x".to_owned()), "400 INVALID_ID").await;
    check(|it| it.project = None, "422 NOT_A_REPO").await;
    check(|it| it.agent = Some("nobody".to_owned()), "404 AGENT_UNKNOWN").await;
    check(|it| it.agent = None, "400 AGENT_UNKNOWN").await;
    check(|it| it.base = Some("nowhere".to_owned()), "404 BASE_MISSING").await;
    check(|it| it.branch = Some("a..b".to_owned()), "400 BRANCH_INVALID").await;
    check(|it| it.name = Some("two\nlines".to_owned()), "400 MALFORMED").await;
    check(|it| drop(it.env.insert("=".to_owned(), String::new())), "400 ENV_INVALID").await;
    assert!(client.sessions(&SessionsQuery { project: None, all: true }).await.unwrap().is_empty());
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_not_there_is_told_which_ones_are() {
    let home = Home::new();
    let daemon = home.start("[defaults]\nagent = 'nobody'\n").await;
    let client = home.client();
    add_app(&client).await;
    for agent in [None, Some("nobody".to_owned())] {
        let error = client.spawn(&SpawnRequest { agent, ..spawn_request() }).await.unwrap_err();
        assert_eq!(error.body().message, "there is no agent `nobody`, only `other`, `scripted`");
    }
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_names_agent_model_and_permission_and_a_request_stands_over_it() {
    let home = Home::new();
    let config = "[defaults]\nagent = 'other'\nmodel = 'small'\npermission = 'plan'\n\
                  [projects.app]\nmodel = 'large'\n";
    let daemon = home.start(config).await;
    let client = home.client();
    add_app(&client).await;
    let shown = async |request: &SpawnRequest| {
        let session = client.spawn(request).await.unwrap();
        let text = |it: Option<String>| it.unwrap_or_default();
        [session.agent, text(session.model), text(session.permission_mode)]
    };
    let by_configuration = SpawnRequest { agent: None, ..spawn_request() };
    assert_eq!(shown(&by_configuration).await, ["other", "large", "plan"]);
    let asked = SpawnRequest {
        model: Some("mine".to_owned()),
        permission: Some("auto".to_owned()),
        ..spawn_request()
    };
    assert_eq!(shown(&asked).await, ["scripted", "mine", "auto"]);
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_makes_one_session() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    let request = SpawnRequest { idempotency_key: Some("k".to_owned()), ..spawn_request() };
    let first = client.spawn(&request).await.unwrap().id;
    assert_eq!(client.spawn(&request).await.unwrap().id, first);
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_found_by_id_name_prefix_and_directory() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    let (first, second) = (spawn(&client).await, spawn(&client).await);
    let name = RenameRequest { name: "fix login".to_owned() };
    assert_eq!(client.rename("app-2", &name).await.unwrap().name.as_deref(), Some("fix login"));
    let find = async |q: Option<&str>, cwd: Option<String>| {
        let query = ResolveQuery { q: q.map(str::to_owned), cwd };
        match client.resolve(&query).await {
            Ok(found) => found.session,
            Err(error) => error.body().code,
        }
    };
    assert_eq!(find(Some("app-1"), None).await, "app-1");
    assert_eq!(find(Some("fix login"), None).await, "app-2");
    assert_eq!(find(Some("app"), None).await, "SESSION_AMBIGUOUS");
    assert_eq!(find(Some("nothing"), None).await, "SESSION_UNKNOWN");
    assert_eq!(find(Some(""), None).await, "MALFORMED");
    let inside = format!("{}/src", second.workspace_path);
    assert_eq!(find(None, Some(inside)).await, "app-2");
    assert_eq!(find(None, Some("/".to_owned())).await, "SESSION_UNKNOWN");
    client.kill(&first.id, &KillRequest::default()).await.unwrap();
    assert_eq!(find(Some("app"), None).await, "app-2", "running sessions go before ended ones");
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_taken_in_once_and_ends_a_wait() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    let session = spawn(&client).await;
    let waiting = {
        let client = client.clone();
        let query = WaitQuery { status: Some("needs_input".to_owned()), ..WaitQuery::default() };
        tokio::runtime::Handle::current().spawn(async move { client.wait("app-1", &query).await })
    };
    let asked = report(&home, "f1", session.launch_id, ReportState::WaitingInput);
    assert!(client.signal("app-1", &asked).await.unwrap().taken);
    assert!(!client.signal("app-1", &asked).await.unwrap().taken, "the same again");
    let other = report(&home, "f2", Some("another".to_owned()), ReportState::Active);
    assert!(!client.signal("app-1", &other).await.unwrap().taken, "of another launch");
    let waited = waiting.await.unwrap().unwrap();
    assert_eq!(waited.outcome, WaitOutcome::Reached);
    assert_eq!(waited.session.activity.as_deref(), Some("waiting_input"));
    let explained = client.explain("app-1").await.unwrap();
    assert_eq!(explained.status, "needs_input");
    assert!(!explained.facts.is_empty() && !explained.would_change.is_empty(), "{explained:?}");

    let replayed = client.replay("app-1").await.unwrap();
    assert_eq!(replayed.n_differences, 0, "{replayed:?}");
    assert!(replayed.n_entries > 0 && replayed.after.is_some());
    let policy = "[defaults.reactions.agent-needs-input]\nenabled = false\n".to_owned();
    let tried = client.replay_with("app-1", &ReplayRequest { policy }).await.unwrap();
    assert_eq!((tried.n_entries, tried.n_differences), (replayed.n_entries, 1), "{tried:?}");
    let policy = "[defaults.reactions.agent-needs-inputs]\n".to_owned();
    let refused = client.replay_with("app-1", &ReplayRequest { policy }).await.unwrap_err().body();
    assert_eq!(refused.kind, ErrorKind::User, "{refused:?}");
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_cannot_be_met_any_more_is_over_and_one_without_a_question_is_malformed() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    spawn(&client).await;
    let query = |status: &str| WaitQuery {
        status: Some(status.to_owned()),
        left_phase: None,
        timeout_ms: Some(10),
    };
    let waited = client.wait("app-1", &query("mergeable")).await.unwrap();
    assert_eq!(waited.outcome, WaitOutcome::TimedOut);
    client.kill("app-1", &KillRequest::default()).await.unwrap();
    let waited = client.wait("app-1", &query("mergeable")).await.unwrap();
    assert_eq!(waited.outcome, WaitOutcome::Over);
    let refusal = client.wait("app-1", &query("happy")).await.unwrap_err().body();
    assert_eq!(refusal.kind, ErrorKind::User);
    assert!(refusal.hint.unwrap().contains("mergeable"));
    let refusal = client.wait("app-1", &WaitQuery::default()).await.unwrap_err().body();
    assert_eq!(refusal.kind, ErrorKind::User);
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_wrote_down_is_read_counted_and_named_as_the_source() {
    let home = Home::new();
    let daemon = home.start("").await;
    let client = home.client();
    add_app(&client).await;
    let worktree = spawn(&client).await.workspace_path;
    let path = ScriptedAgent::transcript_path(Path::new(&worktree));
    let all = OutputQuery::default();
    let refused = client.transcript("app-1", &all).await.unwrap_err().body();
    assert_eq!((refused.kind, refused.code.as_str()), (ErrorKind::NotFound, "NO_TRANSCRIPT"));
    let expect = format!("session `app-1` has no transcript: `{}` is not there", path.display());
    assert_eq!(refused.message, expect);

    home.machine.write_file(&path, "used@1200,34,420001\nsecond\nthird\n");
    eventually("what was used is shown", async || {
        let usage = client.session("app-1").await.unwrap().usage;
        (usage.input_tokens, usage.output_tokens, usage.cost_usd)
            == (Some(1_200), Some(34), Some(0.420_001))
    })
    .await;
    let status = format!("idle@{}", home.clock.now().wall.as_millis());
    home.machine.write_file(&ScriptedAgent::status_path(Path::new(&worktree)), &status);
    eventually("the status file is named as the source", async || {
        let facts = client.explain("app-1").await.unwrap().facts;
        facts.iter().any(|it| it.kind == "activity" && it.value == "idle" && it.source == "native")
    })
    .await;

    client.kill("app-1", &KillRequest::default()).await.unwrap();
    let last = client.transcript("app-1", &OutputQuery { lines: Some(2) }).await.unwrap();
    assert_eq!((last.text.as_str(), last.source.as_str()), ("second\nthird\n", "transcript"));
    daemon.end().await;
}
