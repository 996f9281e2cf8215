//! The agents, and first the one for any command line.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod claude_code;
mod codex;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ao_adapters::agents::{AgentTemplate, CommandAgent};
use ao_core::agent::Signals;
use ao_core::ids::{AgentName, AgentSessionId, LaunchId, SessionId};
use ao_core::ports::{Agent as _, Invocation, LaunchRequest};
use ao_testkit::contract::agent::agent_contract;
use tempfile::TempDir;

/// A worktree and a directory of programs.
struct Bench {
    root: PathBuf,
    _dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        for name in ["bin", "worktree"] {
            std::fs::create_dir(root.join(name)).unwrap();
        }
        Self { root, _dir: dir }
    }

    fn program(&self, name: &str, mode: u32) -> String {
        let path = self.root.join(name);
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    }

    fn request(&self, argv: &[&str]) -> LaunchRequest {
        let path = format!("relative:{}/no:{}/bin", self.root.display(), self.root.display());
        LaunchRequest {
            session: SessionId::parse("app-1").unwrap(),
            launch: LaunchId::parse("launch1").unwrap(),
            directory: self.root.join("worktree"),
            files_dir: PathBuf::from("/launches/launch1"),
            prompt: Some("fix {session}".to_owned()),
            argv: argv.iter().map(|&it| it.to_owned()).collect(),
            model: None,
            permission_mode: None,
            agent_session_id: None,
            env: BTreeMap::from([("PATH".to_owned(), path)]),
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&it| it.to_owned()).collect()
}

fn template(launch: &[&str], resume: &[&str]) -> CommandAgent {
    CommandAgent::new(AgentTemplate {
        name: AgentName::parse("mine").unwrap(),
        launch: words(launch),
        resume: words(resume),
        exits_when_done: false,
    })
}

fn command() -> CommandAgent {
    CommandAgent::command(true).unwrap()
}

#[track_caller]
fn check(agent: &CommandAgent, request: &LaunchRequest, argv: &[&str]) -> Invocation {
    let invocation = agent.launch(request).unwrap();
    assert_eq!(invocation.argv.get(1..).unwrap_or_default(), argv);
    assert!(invocation.env.is_empty());
    invocation
}

#[track_caller]
fn check_refused(agent: &CommandAgent, request: &LaunchRequest, code: &str, says: &str) {
    let error = agent.launch(request).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn command_agents_keep_the_agent_contract() {
    let bench = Bench::new();
    bench.program("bin/agent", 0o755);
    agent_contract(&command(), &bench.request(&["agent"]));
    agent_contract(&command(), &bench.request(&["agent", "--", "{prompt}"]));
    agent_contract(&template(&["agent", "{prompt_file}"], &[]), &bench.request(&[]));
    let resume = ["agent", "--resume", "{agent_session_id}"];
    agent_contract(&template(&["agent", "{prompt}"], &resume), &bench.request(&[]));
}

#[test]
fn it_tells_nothing_and_is_interrupted_as_a_shell_is() {
    let traits = command().traits();
    assert_eq!((traits.signals, traits.exits_when_done), (Signals::None, true));
    assert!(!template(&["agent"], &[]).traits().exits_when_done);
    assert_eq!(command().name().as_str(), "command");
    assert_eq!(command().interrupt_key(), "C-c");
}

#[test]
fn placeholders_are_replaced_once_and_only_ours() {
    let bench = Bench::new();
    bench.program("bin/agent", 0o755);
    let launch =
        ["agent", "-m", "{prompt}", "--id={session}", "awk '{print $1}'", "{", "{}", "a}b"];
    let invocation = check(
        &template(&launch, &[]),
        &bench.request(&[]),
        &["-m", "fix {session}", "--id=app-1", "awk '{print $1}'", "{", "{}", "a}b"],
    );
    assert_eq!((invocation.files.len(), invocation.typed_prompt), (0, None));
}

#[test]
fn a_prompt_that_no_word_asks_for_is_typed() {
    let bench = Bench::new();
    bench.program("bin/agent", 0o755);
    let typed = check(&command(), &bench.request(&["agent", "-v"]), &["-v"]).typed_prompt;
    assert_eq!(typed.as_deref(), Some("fix {session}"));

    let request = LaunchRequest { prompt: None, ..bench.request(&["agent"]) };
    assert_eq!(check(&command(), &request, &[]).typed_prompt, None);

    let request = LaunchRequest { prompt: Some("x".repeat(1_048_577)), ..request };
    check_refused(&command(), &request, "AGENT_INVALID", "`{prompt_file}`");
}

#[test]
fn a_prompt_of_any_size_travels_in_a_file() {
    let bench = Bench::new();
    bench.program("bin/agent", 0o755);
    let prompt = "ü\n".repeat(1_000_000);
    let request = LaunchRequest { prompt: Some(prompt.clone()), ..bench.request(&[]) };
    let agent = template(&["agent", "--file={prompt_file}"], &[]);
    let invocation = check(&agent, &request, &["--file=/launches/launch1/prompt.txt"]);
    let file = PathBuf::from("/launches/launch1/prompt.txt");
    assert_eq!((invocation.files, invocation.typed_prompt), (vec![(file, prompt)], None));
}

#[test]
fn an_argument_that_the_kernel_would_refuse_is_refused_with_the_way_out() {
    let bench = Bench::new();
    bench.program("bin/agent", 0o755);
    let prompt = Some("x".repeat(200_000));
    let request = LaunchRequest { prompt, ..bench.request(&["agent", "{prompt}"]) };
    check_refused(
        &command(),
        &request,
        "AGENT_INVALID",
        "use `{prompt_file}` in place of `{prompt}`",
    );
    let long = "x".repeat(99_000);
    let many: Vec<&str> = std::iter::once("agent").chain([long.as_str(); 11]).collect();
    check_refused(&command(), &bench.request(&many), "AGENT_INVALID", "a command line of");
    check_refused(&command(), &bench.request(&["agent", "a\0b"]), "AGENT_INVALID", "a zero byte");
}

#[test]
fn what_is_missing_is_said() {
    let bench = Bench::new();
    bench.program("bin/agent", 0o755);
    check_refused(&command(), &bench.request(&[]), "AGENT_INVALID", "needs a command line");
    let agent = template(&["agent", "{prompt}"], &[]);
    let request = LaunchRequest { prompt: None, ..bench.request(&[]) };
    check_refused(&agent, &request, "AGENT_INVALID", "needs a prompt");
    check_refused(&agent, &bench.request(&["other"]), "AGENT_INVALID", "a command line of its own");
}

#[test]
fn a_program_is_found_as_the_session_would_find_it() {
    let bench = Bench::new();
    let found = bench.program("bin/agent", 0o755);
    bench.program("bin/not-executable", 0o644);
    bench.program("worktree/local", 0o755);
    std::fs::create_dir(bench.root.join("bin/directory")).unwrap();
    let first = |argv: &str| command().launch(&bench.request(&[argv])).map(|it| it.argv[0].clone());

    assert_eq!(first("agent").unwrap(), found);
    assert_eq!(first(&found).unwrap(), found);
    let local = first("./local").unwrap();
    assert!(Path::new(&local).is_absolute() && Path::new(&local).exists(), "{local}");
    for program in ["no-such-agent", "not-executable", "directory", "", "./agent", "/", "local"] {
        let error = first(program).unwrap_err();
        assert_eq!(error.code(), "AGENT_MISSING", "{program}");
        assert!(error.to_string().contains(&format!("`{program}`")), "{error}");
    }
    let bare = LaunchRequest { env: BTreeMap::new(), ..bench.request(&["agent"]) };
    check_refused(&command(), &bare, "AGENT_MISSING", "`agent`");
}

#[test]
fn a_conversation_is_resumed_where_there_is_one_and_begun_again_where_not() {
    let bench = Bench::new();
    bench.program("bin/agent", 0o755);
    let agent = template(&["agent", "{prompt}"], &["agent", "--resume", "{agent_session_id}"]);
    let restore = |request: &LaunchRequest| agent.restore_command(request).unwrap();
    let request = bench.request(&[]);
    assert_eq!(restore(&request).argv[1..], ["fix {session}"]);
    let id = Some(AgentSessionId::new("0194"));
    let request = LaunchRequest { agent_session_id: id, ..request };
    let resumed = restore(&request);
    assert_eq!(resumed.argv[1..], ["--resume", "0194"]);
    assert_eq!(resumed.typed_prompt, None, "it was said once already");

    let saved = bench.request(&["agent", "-v"]);
    let again = command().restore_command(&saved).unwrap();
    assert_eq!(again, command().launch(&saved).unwrap());
}
