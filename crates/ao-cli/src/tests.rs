//! Whole commands, from the command line to output and exit code, against a stand-in daemon.

#[path = "../../ao-api/tests/server.rs"]
mod server;

use std::path::Path;

use ao_api::config::{ConfigCheck, ConfigProblem, ConfigView};
use ao_api::doctor::{CheckState, DoctorCheck, DoctorReport};
use ao_api::home::Layout;
use serde_json::json;

use super::*;
use server::{Answer, Asked, Server};

/// The daemon's half of the binary, as far as commands ask it.
struct StandIn;

impl Local for StandIn {
    fn config_schema(&self) -> Value {
        json!({"type": "object"})
    }

    fn config_view(&self, layout: &Layout, _: &Settings) -> Result<ConfigView, ErrorBody> {
        let path = layout.config_file.display().to_string();
        Ok(ConfigView { path, exists: false, values: json!({}) })
    }

    fn config_check(&self, _: &Layout, _: &Settings) -> ConfigCheck {
        let problem = ConfigProblem {
            line: Some(3),
            message: "unknown key `agnet`".to_owned(),
            hint: Some("did you mean `agent`?".to_owned()),
        };
        ConfigCheck { path: "config.toml".to_owned(), ok: false, problems: vec![problem] }
    }

    fn doctor(&self, _: &Layout, _: &Settings) -> Result<DoctorReport, ErrorBody> {
        let check = DoctorCheck {
            name: "daemon".to_owned(),
            state: CheckState::Warning,
            detail: "none runs".to_owned(),
            hint: Some("`ao start`".to_owned()),
        };
        Ok(DoctorReport { ok: true, checks: vec![check] })
    }

    fn doctor_fix(&self, _: &Layout) -> Result<(), ErrorBody> {
        Ok(())
    }
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: u8,
    out: String,
    err: String,
}

/// Runs one command line in a home.
async fn ao(home: &Path, line: &[&str]) -> Ended {
    let parsed = Invocation::try_parse_from(["ao"].iter().chain(line)).unwrap();
    let Command::Client(command) = parsed.command else { panic!("not a client's command") };
    let (mut ui, out, err) = Ui::captured(Format::of(parsed.json), None);
    let home_text = home.to_str().unwrap();
    let vars = [("AO_HOME", home_text), ("AO_SESSION_ID", "app-1"), ("AO_LAUNCH_ID", "l-1")];
    let env = Env::for_test(&vars, Path::new("/w"));
    let is_for_programs = command.is_for_programs();
    let ended = run_command(command, env, &StandIn, &mut ui).await;
    let code = conclude(ended, is_for_programs, &mut ui);
    Ended { code, out: out.text(), err: err.text() }
}

/// Runs one command line against a daemon that answers like this; what was asked comes along.
async fn ao_with(answer: impl Fn(&Asked) -> Answer, line: &[&str]) -> (Ended, Vec<String>) {
    let server = Server::listen();
    let ended = server.during(answer, ao(&server.home(), line)).await;
    (ended, server.asked().into_iter().map(|asked| asked.line + &asked.body).collect())
}

/// A session as it is sent.
fn session(id: &str, changes: &[(&str, Value)]) -> Value {
    let mut session = serde_json::to_value(commands::sample::session(id)).unwrap();
    for (pointer, value) in changes {
        *session.pointer_mut(pointer).unwrap() = value.clone();
    }
    session
}

fn refusal(code: &str, kind: &str, message: &str) -> String {
    json!({"error": {"code": code, "kind": kind, "message": message, "hint": null}}).to_string()
}

fn ok(body: &Value) -> Answer {
    server::json(200, &body.to_string())
}

#[tokio::test]
async fn without_a_daemon_a_command_says_so_and_exits_5() {
    let dir = tempfile::tempdir().unwrap();
    let ended = ao(dir.path(), &["ls"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (exit::UNREACHABLE, ""));
    assert!(ended.err.ends_with("Hint: `ao start` starts it\n"), "{}", ended.err);
    let ended = ao(dir.path(), &["ls", "--json"]).await;
    let envelope: Value = serde_json::from_str(&ended.err).unwrap();
    assert_eq!(envelope["error"]["code"], "DAEMON_UNREACHABLE");
    assert_eq!((ended.code, ended.out.as_str()), (exit::UNREACHABLE, ""));
}

#[tokio::test]
async fn stopping_where_nothing_runs_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let ended = ao(dir.path(), &["stop", "--json"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (exit::DONE, "{\"pid\":null,\"sessions\":[]}\n"));
}

#[tokio::test]
async fn programs_in_a_session_never_fail_because_of_us() {
    let dir = tempfile::tempdir().unwrap();
    let ended = ao(dir.path(), &["report", "idle"]).await;
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (exit::DONE, "", ""));
}

/// The signals that wait in a home for the session of [`ao`].
fn waiting(home: &Path) -> Vec<ao_api::signal::SignalRequest> {
    let spool = ao_api::spool::Spool::new(home.join("spool"));
    let files = spool.files("app-1").unwrap();
    files.iter().map(|file| ao_api::spool::read(file).unwrap().unwrap()).collect()
}

#[tokio::test]
async fn a_report_that_no_daemon_takes_waits_as_it_would_have_been_sent() {
    let dir = tempfile::tempdir().unwrap();
    ao(dir.path(), &["report", "idle", "-m", "look"]).await;
    let [waits] = <[_; 1]>::try_from(waiting(dir.path())).unwrap();
    assert_eq!(waits.launch_id.as_deref(), Some("l-1"));
    let (state, message) = (ao_api::signal::ReportState::Idle, Some("look".to_owned()));
    assert_eq!(waits.signal, ao_api::signal::Signal::Report { state, message });

    // One that listens and never answers holds the caller for a moment only.
    let silent = tempfile::tempdir().unwrap();
    let _listener =
        std::os::unix::net::UnixListener::bind(silent.path().join("daemon.sock")).unwrap();
    let ended = ao(silent.path(), &["report", "idle"]).await;
    assert_eq!((ended.code, ended.err.as_str()), (exit::DONE, ""));
    assert_eq!(waiting(silent.path()).len(), 1);
}

#[tokio::test]
async fn only_a_report_that_may_still_be_taken_waits() {
    for (status, code, kind, n_waiting) in [
        (404, "SESSION_UNKNOWN", "not_found", 0),
        (400, "MALFORMED", "user", 0),
        (503, "STARTING", "unavailable", 1),
        (500, "BUG", "bug", 1),
    ] {
        let server = Server::listen();
        let answer = |_: &Asked| server::json(status, &refusal(code, kind, "no"));
        let ended = server.during(answer, ao(&server.home(), &["report", "idle"])).await;
        assert_eq!(ended.code, exit::DONE);
        assert_eq!(waiting(&server.home()).len(), n_waiting, "{code}");
    }
    let server = Server::listen();
    let taken = |_: &Asked| ok(&json!({"taken": false}));
    server.during(taken, ao(&server.home(), &["report", "idle"])).await;
    assert_eq!(waiting(&server.home()), []);
}

#[tokio::test]
async fn a_report_names_session_launch_and_moment() {
    let answer = |_: &Asked| ok(&json!({"taken": true}));
    let (ended, asked) = ao_with(answer, &["report", "waiting_input", "-m", "which one?"]).await;
    assert_eq!((ended.code, ended.err.as_str()), (exit::DONE, ""));
    let body = asked[0].strip_prefix("POST /api/v1/sessions/app-1/signal").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["launch_id"], "l-1");
    assert_eq!(
        body["signal"],
        json!({"kind": "report", "state": "waiting_input", "message": "which one?"})
    );
    assert!(body["at"]["since_boot_ns"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_spawn_prints_the_id_once_the_agent_runs() {
    let spawned = session("app-1", &[("/phase", json!("worktree"))]);
    let runs = session("app-1", &[]);
    let answer = |asked: &Asked| match asked.line.as_str() {
        "POST /api/v1/sessions" => server::json(201, &spawned.to_string()),
        _ => ok(&json!({"outcome": "reached", "session": runs})),
    };
    let (ended, asked) = ao_with(answer, &["spawn", "fix it", "--command", "sh -c 'a b'"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (exit::DONE, "app-1\n"));
    assert!(asked[0].contains(r#""cwd":"/w""#) && asked[0].contains(r#"["sh","-c","a b"]"#));
    assert_eq!(asked[1], "GET /api/v1/sessions/app-1/wait?left_phase=worktree&timeout_ms=30000");
}

#[tokio::test]
async fn a_spawn_that_fails_says_why_and_prints_no_id() {
    let spawned = session("app-1", &[("/phase", json!("worktree"))]);
    let failed = session(
        "app-1",
        &[
            ("/phase", json!("ended")),
            ("/trouble", json!("the base `x` does not exist")),
            ("/lifecycle/session/reason", json!("spawn_failed")),
        ],
    );
    let answer = |asked: &Asked| match asked.line.as_str() {
        "POST /api/v1/sessions" => server::json(201, &spawned.to_string()),
        _ => ok(&json!({"outcome": "reached", "session": failed})),
    };
    let (ended, _) = ao_with(answer, &["spawn", "fix it"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (exit::FAILED, ""));
    assert!(ended.err.starts_with("Error: app-1 was not started: the base `x` does not exist\n"));
}

#[tokio::test]
async fn a_start_that_is_in_trouble_is_not_waited_for_for_ever() {
    let trouble = session("app-1", &[("/phase", json!("runtime")), ("/trouble", json!("no tmux"))]);
    let answer = |asked: &Asked| match asked.line.as_str() {
        "POST /api/v1/sessions" => server::json(201, &trouble.to_string()),
        _ => ok(&json!({"outcome": "timed_out", "session": trouble})),
    };
    let (ended, asked) = ao_with(answer, &["spawn", "fix it"]).await;
    assert_eq!((ended.code, ended.out.as_str(), asked.len()), (exit::NOT_CONFIRMED, "", 2));
    insta::assert_snapshot!(ended.err, @r"
    Error: app-1 is not started yet: no tmux
    Hint: it is tried again; `ao kill app-1` gives up
    ");
}

#[tokio::test]
async fn a_start_whose_daemon_ends_is_named_and_goes_on_later() {
    let spawned = session("app-1", &[("/phase", json!("worktree"))]);
    let answer = |asked: &Asked| match asked.line.as_str() {
        "POST /api/v1/sessions" => server::json(201, &spawned.to_string()),
        _ => server::json(503, &refusal("STOPPING", "unavailable", "the daemon is about to end")),
    };
    let (ended, _) = ao_with(answer, &["spawn", "fix it"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (exit::FAILED, ""));
    insta::assert_snapshot!(ended.err, @r"
    Error: app-1 is not started yet: the daemon is about to end
    Hint: `ao start` goes on with it; `ao kill app-1` gives up then
    ");
}

#[tokio::test]
async fn an_unknown_repository_is_refused_with_what_to_do_when_nobody_can_be_asked() {
    let body = refusal("PROJECT_UNKNOWN", "not_found", "`/w` belongs to no project");
    let (ended, _) = ao_with(|_| server::json(404, &body), &["spawn", "fix it"]).await;
    assert_eq!(ended.code, exit::NOT_FOUND);
    insta::assert_snapshot!(ended.err, @r"
    Error: `/w` belongs to no project
    Hint: `ao project add` registers the repository of the working directory
    ");
}

#[tokio::test]
async fn a_queued_session_is_not_waited_for() {
    let queued = session("app-1", &[("/phase", json!("queued"))]);
    let answer = |_: &Asked| server::json(201, &queued.to_string());
    let (ended, asked) = ao_with(answer, &["spawn", "fix it"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (exit::DONE, "app-1\n"));
    assert_eq!((ended.err.as_str(), asked.len()), ("app-1 waits for a place\n", 1));
}

#[tokio::test]
async fn the_session_is_the_one_that_the_daemon_says_is_meant() {
    let answer = |asked: &Asked| {
        if asked.line.contains("/resolve") {
            ok(&json!({"session": "app-7"}))
        } else {
            ok(&session("app-7", &[]))
        }
    };
    let (ended, asked) = ao_with(answer, &["path"]).await;
    assert_eq!(ended.out, "/h/worktrees/app-7\n");
    assert_eq!(asked, ["GET /api/v1/resolve?cwd=%2Fw", "GET /api/v1/sessions/app-7"]);
    let (_, asked) = ao_with(answer, &["path", "log"]).await;
    assert_eq!(asked[0], "GET /api/v1/resolve?q=log&cwd=%2Fw");
}

/// One kill works, the other is refused.
fn kill_one_of_two(asked: &Asked) -> Answer {
    if asked.line.contains("q=app-1") {
        ok(&json!({"session": "app-1"}))
    } else if asked.line.contains("/resolve") {
        ok(&json!({"session": "app-2"}))
    } else if asked.line.contains("app-1") {
        ok(&json!({"session": "app-1", "workspace": "kept", "reason": "uncommitted changes",
            "branch": "kept", "preserved_ref": null}))
    } else {
        server::json(409, &refusal("SAGA_RUNS", "conflict", "`app-2` is being restored"))
    }
}

#[tokio::test]
async fn a_kill_that_fails_for_one_still_ends_the_others() {
    let (ended, asked) = ao_with(kill_one_of_two, &["kill", "app-2", "app-1"]).await;
    assert_eq!(ended.code, exit::CONFLICT);
    insta::assert_snapshot!(ended.out, @"app-1: killed, worktree kept (uncommitted changes), branch kept");
    insta::assert_snapshot!(ended.err, @"Error: `app-2` is being restored");
    let n_kills = asked.iter().filter(|line| line.contains("/kill")).count();
    assert_eq!(n_kills, 2);
    let (ended, _) = ao_with(kill_one_of_two, &["kill", "app-2", "app-1", "--json"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (exit::CONFLICT, ""));
}

#[tokio::test]
async fn one_kill_is_an_object_and_its_kept_worktree_no_failure() {
    let (ended, _) = ao_with(kill_one_of_two, &["kill", "app-1", "--json"]).await;
    assert_eq!(ended.code, exit::DONE);
    let killed: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(
        (killed["session"].as_str(), killed["workspace"].as_str()),
        (Some("app-1"), Some("kept"))
    );
}

#[tokio::test]
async fn a_wait_that_times_out_exits_6_and_one_that_cannot_come_true_exits_1() {
    let answer = |outcome: &'static str| {
        move |asked: &Asked| {
            if asked.line.contains("/resolve") {
                ok(&json!({"session": "app-1"}))
            } else {
                ok(&json!({"outcome": outcome, "session": session("app-1", &[])}))
            }
        }
    };
    let line = ["wait", "app-1", "--for", "idle", "done", "--timeout", "2s"];
    let (ended, asked) = ao_with(answer("timed_out"), &line).await;
    assert_eq!(ended.code, exit::NOT_CONFIRMED);
    assert!(asked[1].ends_with("/wait?status=idle%2Cdone&timeout_ms=2000"), "{}", asked[1]);
    assert_eq!(ao_with(answer("over"), &line).await.0.code, exit::FAILED);
    let (ended, _) = ao_with(answer("reached"), &line).await;
    assert_eq!((ended.code, ended.out.as_str()), (exit::DONE, "working\n"));
}

#[tokio::test]
async fn events_are_read_page_by_page_until_the_head() {
    let event = |seq: u64| {
        json!({"seq": seq, "at": "2026-03-02T12:00:00.000Z", "type": "session.changed",
            "project": "app", "session": "app-1", "revision": seq, "key": null, "became": null})
    };
    let answer = |asked: &Asked| match asked.line.as_str() {
        "GET /api/v1/events?after=1" => ok(&json!({"events": [event(2), event(3)], "next": 3,
            "head": 4, "reset": {"oldest": 1, "head": 4}})),
        _ => ok(&json!({"events": [event(4)], "next": 4, "head": 4, "reset": null})),
    };
    let (ended, asked) = ao_with(answer, &["events", "--after", "1", "--json"]).await;
    let kinds: Vec<Value> = ended
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| json!([line["type"], line["seq"]]))
        .collect();
    let changed = |seq: u64| json!(["session.changed", seq]);
    assert_eq!(kinds, [json!(["reset", null]), changed(2), changed(3), changed(4)]);
    assert_eq!(asked.len(), 2);
}

#[tokio::test]
async fn a_stream_that_ends_is_resumed_where_it_ended() {
    let frame = |seq: u64| {
        let event = json!({"seq": seq, "at": "2026-03-02T12:00:00.000Z", "type": "session.changed",
            "project": "app", "session": "app-1", "revision": seq, "key": null, "became": null});
        format!("event: change\nid: {seq}\ndata: {event}\n\n")
    };
    let answer = |asked: &Asked| match asked.last_event_id.as_deref() {
        Some("1") => server::events(&[&frame(2), &frame(3)]),
        Some("3") => server::events(&[&frame(4)]),
        _ => server::json(503, &refusal("STOPPING", "unavailable", "the daemon is about to end")),
    };
    let (ended, asked) = ao_with(answer, &["events", "-f", "--after", "1"]).await;
    assert_eq!((ended.code, ended.out.lines().count()), (exit::FAILED, 3));
    assert_eq!(asked.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_watched_list_is_drawn_again_when_something_changed() {
    let change = r#"{"seq":1,"at":"","type":"session.changed","project":null,"session":null,"revision":null,"key":null,"became":null}"#;
    let frame = format!("event: change\nid: 1\ndata: {change}\n\n");
    let gone = || server::json(503, &refusal("STOPPING", "unavailable", "it is about to end"));
    let n_lists = std::cell::Cell::new(0);
    let answer = |asked: &Asked| {
        if asked.line.contains("/stream") {
            let stream = server::events(&[&frame]);
            return if n_lists.get() == 0 { server::without_end(stream) } else { gone() };
        }
        n_lists.set(n_lists.get() + 1);
        if n_lists.get() == 3 {
            return gone();
        }
        ok(&json!([session("app-1", &[("/status", json!(format!("s{}", n_lists.get())))])]))
    };
    let (ended, _) = ao_with(answer, &["ls", "--watch"]).await;
    let statuses: Vec<&str> =
        ended.out.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(statuses, ["STATUS", "s1", "STATUS", "s2"]);
    assert_eq!(ended.code, exit::FAILED);
}

#[tokio::test]
async fn looking_at_the_inbox_marks_nothing_as_read() {
    let item = json!({"id": "n-1", "session": "app-1", "project": "app", "reaction": "agent-stuck",
        "cause": "c", "priority": "urgent", "title": "app-1 is stuck", "text": "t",
        "at": "2026-03-02T12:00:00.000Z", "state": "unread"});
    let answer = |asked: &Asked| {
        if asked.line.contains("read") { ok(&json!({"n_read": 1})) } else { ok(&json!([item])) }
    };
    let (_, asked) = ao_with(answer, &["inbox"]).await;
    assert_eq!(asked, ["GET /api/v1/inbox?all=false"]);
    let (_, asked) = ao_with(answer, &["inbox", "--read"]).await;
    assert_eq!(asked[1], r#"POST /api/v1/inbox/read{"ids":["n-1"]}"#);
}

#[tokio::test]
async fn a_daemon_of_another_release_is_mentioned_and_nothing_else_changes() {
    let (ended, _) = ao_with(|_| server::json_of("0.0.9", 200, "[]"), &["ls"]).await;
    assert_eq!(ended.code, exit::DONE);
    assert!(ended.err.contains("the daemon is version 0.0.9"), "{}", ended.err);
    let (ended, _) = ao_with(|_| server::json_of("0.0.9", 200, "[]"), &["ls", "--json"]).await;
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("[]\n", ""));
}

#[tokio::test]
async fn the_configuration_and_the_machine_can_be_checked_without_a_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let ended = ao(dir.path(), &["config", "check"]).await;
    assert_eq!(ended.code, exit::USAGE);
    insta::assert_snapshot!(ended.out, @r"
    config.toml:3: unknown key `agnet`
      Hint: did you mean `agent`?
    ");
    let ended = ao(dir.path(), &["doctor"]).await;
    assert_eq!(ended.code, exit::DONE);
    insta::assert_snapshot!(ended.out, @r"
    warning  daemon: none runs
             Hint: `ao start`
    ");
    let ended = ao(dir.path(), &["config", "path"]).await;
    assert_eq!(ended.out, format!("{}\n", dir.path().join("config.toml").display()));
}

#[tokio::test]
async fn attaching_without_a_terminal_is_refused_but_can_be_asked_for() {
    let answer = |asked: &Asked| {
        if asked.line.contains("/resolve") {
            ok(&json!({"session": "app-1"}))
        } else {
            ok(&json!({"session": "app-1", "argv": ["tmux", "attach"], "unset": ["TMUX"],
                "detach_key": "Ctrl-b d"}))
        }
    };
    let (ended, _) = ao_with(answer, &["attach", "app-1"]).await;
    assert_eq!(ended.code, exit::USAGE);
    let (ended, _) = ao_with(answer, &["attach", "app-1", "--json"]).await;
    assert!(ended.out.contains(r#""argv":["tmux","attach"]"#), "{}", ended.out);
}

#[tokio::test]
async fn a_cleanup_tells_each_session_and_counts_what_was_cleaned_before() {
    let one = |id: &str, action: &str, reason: &str| json!({"id": id, "action": action, "reason": reason});
    let answer = |_: &Asked| {
        ok(&json!([
            one("app-1", "removed", "it committed nothing"),
            one("app-2", "skipped", "it has uncommitted changes: `a`"),
            one("app-3", "skipped", "nothing of it is left to free"),
        ]))
    };
    let (ended, asked) = ao_with(answer, &["cleanup", "--project", "app", "--discard"]).await;
    insta::assert_snapshot!(ended.out, @r"
    app-1: removed: it committed nothing
    app-2: skipped: it has uncommitted changes: `a`
    ");
    insta::assert_snapshot!(ended.err, @"1 session has nothing left to free; `ao rm` forgets it.");
    let body =
        r#"POST /api/v1/cleanup{"project":"app","dry_run":false,"discard":true,"caller_pid":"#;
    assert!(asked[0].starts_with(body), "{asked:?}");
    let (ended, _) = ao_with(answer, &["cleanup", "--dry-run"]).await;
    assert!(ended.out.starts_with("app-1: would be removed: "), "{}", ended.out);
    let (ended, _) = ao_with(answer, &["cleanup", "--json"]).await;
    let all: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(all[2], one("app-3", "skipped", "nothing of it is left to free"));
}

#[tokio::test]
async fn a_recovery_of_a_forgotten_session_is_asked_for_by_its_whole_id() {
    let answer = |asked: &Asked| {
        if asked.line.contains("/resolve") {
            server::json(404, &refusal("SESSION_UNKNOWN", "not_found", "there is no such session"))
        } else {
            ok(&json!({
                "session": "app-1", "workspace_path": "/w/app-1", "branch": null,
                "preserved_ref": "refs/ao/preserved/app-1",
                "restored": ["its worktree is at `/w/app-1` again"], "remaining": ["a merge"],
            }))
        }
    };
    let (ended, asked) = ao_with(answer, &["recover", "app-1"]).await;
    assert_eq!(ended.out, "app-1: its worktree is at `/w/app-1` again\n");
    insta::assert_snapshot!(ended.err, @"app-1: a merge");
    assert!(asked[1].starts_with("POST /api/v1/sessions/app-1/recover"), "{asked:?}");
    let (ended, asked) = ao_with(answer, &["recover", "login"]).await;
    assert_eq!((ended.code, asked.len()), (exit::NOT_FOUND, 1), "a name is not an id");
}

#[tokio::test]
async fn one_record_that_stays_keeps_no_other_from_being_removed() {
    let answer = |asked: &Asked| {
        if let Some(id) = asked.line.split("q=").nth(1).and_then(|it| it.get(..5)) {
            ok(&json!({"session": id}))
        } else if asked.line.contains("app-1") {
            server::json(409, &refusal("WORKTREE_LEFT", "conflict", "its worktree is still there"))
        } else {
            ok(&json!({"id": "app-2", "branch": "ao/app-2", "preserved_ref": null}))
        }
    };
    let (ended, asked) = ao_with(answer, &["rm", "app-1", "app-2"]).await;
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (exit::CONFLICT, "app-2: forgotten; its branch ao/app-2 stays\n")
    );
    let deletes: Vec<_> = asked.iter().filter(|line| line.starts_with("DELETE")).collect();
    assert_eq!(deletes, ["DELETE /api/v1/sessions/app-1", "DELETE /api/v1/sessions/app-2"]);
    let (ended, _) = ao_with(answer, &["rm", "app-2", "--json"]).await;
    let one: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(one["branch"], "ao/app-2");
}

/// Two lost sessions, of which the second cannot be brought back, and one that somebody ended.
fn two_lost(asked: &Asked) -> Answer {
    let ended = |id: &str, lost: bool| {
        let restore = json!({"possible": true, "reason": null, "lost": lost});
        session(id, &[("/phase", json!("ended")), ("/restore", restore)])
    };
    let restored = |id: &str, phase: &str| {
        let mut restored = session(id, &[("/phase", json!(phase))]);
        restored["lost"] = json!(["a turn was running and is interrupted"]);
        restored
    };
    if asked.line.contains("/sessions?") {
        ok(&json!([ended("app-1", true), ended("app-2", true), ended("app-3", false)]))
    } else if asked.line.contains("/resolve") {
        ok(&json!({"session": "app-1"}))
    } else if asked.line.contains("/wait") {
        ok(&json!({"outcome": "reached", "session": session("app-1", &[])}))
    } else if asked.line.contains("app-1") {
        server::json(202, &restored("app-1", "worktree").to_string())
    } else {
        server::json(409, &refusal("AGENT_ALIVE", "conflict", "the agent of `app-2` may still run"))
    }
}

#[tokio::test]
async fn a_restore_prints_the_id_and_says_what_was_lost() {
    let (ended, asked) = ao_with(two_lost, &["restore", "app-1", "--env", "A=b"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (exit::DONE, "app-1\n"));
    insta::assert_snapshot!(ended.err, @"app-1: a turn was running and is interrupted");
    assert_eq!(asked.len(), 3, "resolved, restored, waited for: {asked:?}");
    assert_eq!(asked[1], r#"POST /api/v1/sessions/app-1/restore{"env":{"A":"b"},"caller_env":{}}"#);
    let (ended, asked) = ao_with(two_lost, &["restore", "app-1", "--no-wait", "--json"]).await;
    let restored: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(
        (restored["id"].as_str(), restored["phase"].as_str()),
        (Some("app-1"), Some("worktree"))
    );
    assert_eq!(restored["lost"], json!(["a turn was running and is interrupted"]));
    assert_eq!(asked.len(), 2);
}

#[tokio::test]
async fn a_restore_of_all_takes_those_that_nobody_ended_and_a_failure_keeps_no_other_back() {
    let (ended, asked) = ao_with(two_lost, &["restore", "--all", "--project", "app"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (exit::CONFLICT, "app-1\n"));
    insta::assert_snapshot!(ended.err, @r"
    app-1: a turn was running and is interrupted
    Error: the agent of `app-2` may still run
    ");
    assert_eq!(asked[0], "GET /api/v1/sessions?project=app&all=true");
    let n_restores = asked.iter().filter(|line| line.contains("/restore")).count();
    assert_eq!(n_restores, 2, "{asked:?}");
    let (ended, _) = ao_with(two_lost, &["restore", "--all", "--json"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (exit::CONFLICT, ""));
    assert!(ended.err.contains("restored all the same: app-1"), "{}", ended.err);
}

#[tokio::test]
async fn a_restore_of_all_without_any_is_done() {
    let (ended, _) = ao_with(|_| ok(&json!([])), &["restore", "--all"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (exit::DONE, ""));
    insta::assert_snapshot!(ended.err, @"No session ended though nobody asked for it.");
    let (ended, _) = ao_with(|_| ok(&json!([])), &["restore", "--all", "--json"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (exit::DONE, "[]\n"));
}

#[tokio::test]
async fn a_restore_that_fails_says_why() {
    let failed = session(
        "app-1",
        &[
            ("/phase", json!("ended")),
            ("/trouble", json!("EXEC_FAILED: no such program")),
            ("/lifecycle/session", json!({"state": "terminated", "reason": "spawn_failed"})),
        ],
    );
    let answer = |asked: &Asked| {
        if asked.line.contains("/wait") {
            ok(&json!({"outcome": "reached", "session": failed}))
        } else {
            two_lost(asked)
        }
    };
    let (ended, _) = ao_with(answer, &["restore", "app-1"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (exit::FAILED, ""));
    insta::assert_snapshot!(ended.err, @r"
    Error: app-1 was not restored: EXEC_FAILED: no such program
    Hint: `ao explain app-1` says more
    ");
}

#[tokio::test]
async fn a_list_of_ended_sessions_says_how_to_have_them_back() {
    let (ended, _) = ao_with(two_lost, &["ls", "--all"]).await;
    insta::assert_snapshot!(ended.err, @"2 sessions ended though nobody asked for it; `ao restore --all` brings back all of them.");
    let (ended, _) = ao_with(|_| ok(&json!([session("app-1", &[])])), &["ls", "--all"]).await;
    assert_eq!(ended.err, "");
}

#[tokio::test]
async fn a_replay_shows_what_differs_and_counts_it() {
    let entry = |seq: u64, rule_now: &str, decided_now: &str, different: bool| {
        json!({
            "seq": seq, "at": "2026-03-02T12:00:00.000Z", "fact": "pull requests were fetched",
            "rule_then": "pull_requests", "decided_then": "working/fixing_ci",
            "rule_now": rule_now, "decided_now": decided_now, "different": different,
            "why": if different { vec!["the session differs"] } else { Vec::new() },
        })
    };
    let entries = [
        entry(8, "pull_requests", "working/fixing_ci", false),
        entry(
            9,
            "pull_requests",
            "working/fixing_ci; tells the agent (ci-failed #1):\nfix it",
            true,
        ),
        entry(12, "unchanged", "changes nothing", true),
    ];
    let replay = json!({
        "session": "app-1", "after": 7, "policy_changes": ["`ci-failed`: `retries` is 3, and was 2"],
        "entries": entries, "n_entries": 3, "n_differences": 2, "end_differences": [],
    });
    let dir = tempfile::tempdir().unwrap();
    let policy = dir.path().join("policy.toml");
    std::fs::write(&policy, "[defaults.reactions.ci-failed]\nretries = 3\n").unwrap();
    let line = ["replay", "app-1", "--policy", policy.to_str().unwrap()];
    let answer = |asked: &Asked| match asked.line.as_str() {
        "POST /api/v1/sessions/app-1/replay" | "GET /api/v1/sessions/app-1/replay" => ok(&replay),
        _ => ok(&json!({"session": "app-1"})),
    };
    let (ended, asked) = ao_with(answer, &line).await;
    assert_eq!((ended.code, ended.err.as_str()), (exit::DONE, ""));
    let body = r#"{"policy":"[defaults.reactions.ci-failed]\nretries = 3\n"}"#;
    assert!(asked.last().unwrap().ends_with(body), "{asked:?}");
    insta::assert_snapshot!(ended.out, @r"
    The policy file changes:
      `ci-failed`: `retries` is 3, and was 2

    Step 9, 2026-03-02T12:00:00.000Z: pull requests were fetched
      then: working/fixing_ci (rule `pull_requests`)
      now:  working/fixing_ci; tells the agent (ci-failed #1): fix it (rule `pull_requests`)
      - the session differs

    Step 12, 2026-03-02T12:00:00.000Z: pull requests were fetched
      then: working/fixing_ci (rule `pull_requests`)
      now:  changes nothing (rule `unchanged`)
      - the session differs

    2 differences: 3 steps of app-1 after step 7, the oldest state that is kept, decided again by today's rules and the policy file
    ");
    let (ended, _) = ao_with(answer, &["replay", "app-1", "--all"]).await;
    let table: Vec<&str> = ended.out.lines().take(4).collect();
    insta::assert_snapshot!(table.join("\n"), @r"
    STEP  TIME                      FACT                        RULE           DECIDED
       8  2026-03-02T12:00:00.000Z  pull requests were fetched  pull_requests  working/fixing_ci
       9  2026-03-02T12:00:00.000Z  pull requests were fetched  pull_requests  working/fixing_ci
      12  2026-03-02T12:00:00.000Z  pull requests were fetched  pull_requests  working/fixing_ci
    ");
    let (ended, asked) = ao_with(answer, &["replay", "app-1", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&ended.out).unwrap(), replay);
    assert_eq!(asked.last().unwrap(), "GET /api/v1/sessions/app-1/replay");
}
