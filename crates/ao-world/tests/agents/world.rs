//! One home of `ao`, one user's home, one repository, one daemon, one model server, one agent.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use ao_world::processes::end_groups;
use serde_json::Value;
use tempfile::TempDir;

use crate::history::{IDLE, Ledger, SPAWNING, STARTED, Truth, WORKING, now_ms};
use crate::kit::Kit;
use crate::model::Model;
use crate::tools::{PATIENCE, end_all, git, program, succeeded, tmux, wait_until, waited_for};

/// A world. Dropping it ends everything that was started in it.
pub(crate) struct World {
    /// The agent of this world.
    pub(crate) kit: Kit,
    /// The model server.
    pub(crate) model: Model,
    scenario: &'static str,
    extra_env: Vec<(&'static str, &'static str)>,
    ledger: RefCell<Ledger>,
    dir: TempDir,
}

/// A session in a world, and what is true of it.
pub(crate) struct Session<'a> {
    /// Where it is.
    pub(crate) world: &'a World,
    /// Its id.
    pub(crate) id: String,
    truths: RefCell<Vec<Truth>>,
}

impl World {
    /// A world whose daemon runs and knows the repository as project `hello`.
    pub(crate) fn new(kit: Kit, scenario: &'static str) -> Self {
        Self::with_env(kit, scenario, Vec::new())
    }

    /// A world whose user has these variables, too.
    pub(crate) fn with_env(
        kit: Kit,
        scenario: &'static str,
        extra_env: Vec<(&'static str, &'static str)>,
    ) -> Self {
        // Below the target directory: Codex warns of a home below the system's temporary one.
        let place = env!("CARGO_TARGET_TMPDIR");
        let dir = tempfile::Builder::new().prefix("agents-").tempdir_in(place).unwrap();
        let model = Model::start(dir.path());
        let ledger = RefCell::new(Ledger::default());
        let world = Self { kit, model, scenario, extra_env, ledger, dir };
        for name in ["ao", "user", "hello"] {
            fs::create_dir(world.path(name)).unwrap();
        }
        let repository = world.path("hello");
        git(&repository, &["init", "--quiet", "--initial-branch", "main"]);
        git(&repository, &["config", "user.name", "World"]);
        git(&repository, &["config", "user.email", "world@example.invalid"]);
        fs::write(repository.join("README.md"), "hello\n").unwrap();
        git(&repository, &["add", "."]);
        git(&repository, &["commit", "--quiet", "--message", "start"]);
        kit.settle_in(&world.path("user"), &repository, world.model.url());
        world.ok(&["start"]);
        world.ok(&["project", "add", repository.to_str().unwrap(), "--id", "hello"]);
        world
    }

    /// A place in this world.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The environment of the user of this world.
    pub(crate) fn env(&self) -> Vec<(String, OsString)> {
        let agents = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/agents/bin");
        assert!(agents.is_dir(), "the agents are not installed: `make test-agents` does that");
        let mut path = agents.canonicalize().unwrap().into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let mut env = vec![("PATH".to_owned(), path)];
        let mut set = |name: &str, value: OsString| env.push((name.to_owned(), value));
        set("HOME", self.path("user").into());
        for (name, value) in [
            ("LANG", "C.UTF-8"),
            ("TERM", "xterm-256color"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
        ] {
            set(name, value.into());
        }
        for (name, value) in self.kit.env(&self.path("user"), self.model.url()) {
            set(name, value.into());
        }
        for (name, value) in &self.extra_env {
            set(name, value.into());
        }
        env
    }

    /// The command line `ao ARGS` as the user of this world types it.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_ao-world-ao"));
        command.args(args).env_clear().envs(self.env()).env("AO_HOME", self.path("ao"));
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// Runs `ao ARGS`.
    pub(crate) fn ao(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs `ao ARGS`, which has to succeed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        succeeded(args, &self.ao(args))
    }

    /// Runs `ao ARGS --json`, which has to succeed.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let args: Vec<_> = args.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.ok(&args)).unwrap()
    }

    /// Starts a session with this prompt, in the mode in which the agent asks.
    #[track_caller]
    pub(crate) fn spawn(&self, prompt: &str) -> Session<'_> {
        self.spawn_in(self.kit.asking(), prompt)
    }

    /// A session whose first turn has ended.
    #[track_caller]
    pub(crate) fn open(&self) -> Session<'_> {
        let session = self.spawn(r#"mark-0 MOCK[{"text":"ready when you are","slow":1}]"#);
        session.wait("working");
        session.wait("idle");
        session.started();
        session.worked("mark-0", 1);
        session
    }

    /// Starts a session with this prompt in this permission mode.
    #[track_caller]
    pub(crate) fn spawn_in(&self, mode: &str, prompt: &str) -> Session<'_> {
        let file = self.path("prompt");
        fs::write(&file, prompt).unwrap();
        let mut args = vec!["spawn", "--project", "hello", "--agent", self.kit.name()];
        args.extend(["--permission", mode]);
        if !prompt.is_empty() {
            args.extend(["--prompt-file", file.to_str().unwrap()]);
        }
        let id = self.ok(&args).trim().to_owned();
        Session { world: self, id, truths: RefCell::default() }
    }

    /// What is noted for the report.
    pub(crate) const fn ledger(&self) -> &RefCell<Ledger> {
        &self.ledger
    }
}

impl Drop for World {
    /// Ends the agents and the daemon; a world that failed half-way is ended by force. Only
    /// processes that carry this very home are signalled.
    fn drop(&mut self) {
        self.ledger.borrow_mut().write(self.kit, self.scenario);
        drop(self.command(&["stop", "--sessions"]).output());
        end_all(&format!("AO_HOME={}", self.path("ao").display()));
        waited_for(PATIENCE, || end_groups(&self.path("ao")));
    }
}

impl Session<'_> {
    /// The session as `ao show` has it.
    #[track_caller]
    pub(crate) fn show(&self) -> Value {
        self.world.json(&["show", &self.id])
    }

    /// Waits until it has a status.
    #[track_caller]
    pub(crate) fn wait(&self, status: &str) -> Value {
        let outcome = self.world.ao(&["wait", &self.id, "--for", status, "--timeout", "25s"]);
        assert!(outcome.status.success(), "not {status}:\n{}", self.told());
        self.show()
    }

    /// Waits until it rests after the last answer of the model.
    #[track_caller]
    pub(crate) fn wait_until_at_rest(&self) {
        self.wait_until("it rests after the last turn", || {
            let session = self.show();
            let at = session["lifecycle"]["activity"]["at"].as_str().unwrap_or_default().to_owned();
            let at = at.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond);
            session["status"] == "idle" && at >= self.world.model.last()
        });
    }

    /// What is known of it, for a test that fails.
    fn told(&self) -> String {
        let screen = self.screen();
        let lines: Vec<_> = screen.lines().filter(|line| !line.trim().is_empty()).collect();
        let messages = self.messages();
        let messages: Vec<_> = messages.iter().map(|it| (&it["state"], &it["reason"])).collect();
        let requests = self.world.model.requests();
        let requests: Vec<_> = requests
            .iter()
            .map(|it| format!("{} {} {} {}", it["kind"], it["attempt"], it["outcome"], it["path"]))
            .collect();
        let explained = self.world.ok(&["explain", &self.id]);
        format!("{explained}\n{messages:?}\n{requests:#?}\n{}", lines.join("\n"))
    }

    /// Waits until the agent made a file in its worktree.
    #[track_caller]
    pub(crate) fn wait_for_file(&self, name: &str) {
        let workspace = self.show()["workspace_path"].as_str().unwrap().to_owned();
        let file = Path::new(&workspace).join(name);
        wait_until(&format!("{name} is made"), || file.exists());
    }

    /// Waits for a condition, and tells what is known where it does not come about.
    #[track_caller]
    pub(crate) fn wait_until(&self, claim: &str, holds: impl FnMut() -> bool) {
        let is_met = waited_for(PATIENCE, holds);
        assert!(is_met, "{claim}: not so, and\n{}", self.told());
    }

    /// From this moment on the history has to say this.
    pub(crate) fn truth(&self, says: &'static str, since_ms: impl Into<Option<i64>>) {
        self.truths.borrow_mut().push(Truth {
            says,
            since_ms: since_ms.into(),
            is_optional: false,
        });
    }

    /// The history may say this in between.
    pub(crate) fn perhaps(&self, says: &'static str) {
        self.truths.borrow_mut().push(Truth { says, since_ms: None, is_optional: true });
    }

    /// The history begins as that of every agent that is started with a prompt.
    pub(crate) fn started(&self) {
        self.truth(SPAWNING, None);
        self.truth(STARTED, None);
    }

    /// A turn ran that a text with this mark began, and whose last answer took so many seconds.
    #[track_caller]
    pub(crate) fn worked(&self, mark: &str, slow_s: i64) {
        self.truth(WORKING, self.world.model.began(mark));
        self.truth(IDLE, self.world.model.last() + slow_s * 1_000);
    }

    /// What is true of it, in order.
    pub(crate) fn truths(&self) -> Vec<Truth> {
        self.truths.borrow().clone()
    }

    /// Sends a text that contains a mark, and returns the receipt as it is once the turn began.
    #[track_caller]
    pub(crate) fn send(&self, text: &str) -> Value {
        let file = self.world.path("message");
        fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let goal = ["--wait", "acknowledged", "--timeout", "40s"];
        let args: Vec<_> = ["send", &self.id, "--file", file].into_iter().chain(goal).collect();
        self.world.json(&args)
    }

    /// Sends a text and waits for nothing; returns the receipt.
    #[track_caller]
    pub(crate) fn queue(&self, text: &str) -> Value {
        self.world.json(&["send", &self.id, text])
    }

    /// The messages with their receipts, oldest first.
    #[track_caller]
    pub(crate) fn messages(&self) -> Vec<Value> {
        self.world.json(&["messages", &self.id]).as_array().unwrap().clone()
    }

    /// Waits until the last message is held for this reason.
    #[track_caller]
    pub(crate) fn wait_until_held(&self, reason: &str) {
        let is_held = || {
            self.messages()
                .last()
                .is_some_and(|it| it["state"] == "queued" && it["reason"] == reason)
        };
        self.wait_until(&format!("the message is held, because {reason}"), is_held);
    }

    /// Waits until every message was taken in.
    #[track_caller]
    pub(crate) fn wait_until_all_acknowledged(&self) {
        let is_in = || self.messages().iter().all(|it| it["state"] == "acknowledged");
        self.wait_until("every message is acknowledged", is_in);
    }

    /// Presses keys in its terminal, as a person does who is attached; tells when.
    pub(crate) fn press(&self, keys: &[&str]) -> i64 {
        let session = self.show();
        let pane = session["handle"]["pane"].as_str().unwrap().to_owned();
        let before = now_ms();
        let args: Vec<_> = ["send-keys", "-t", &pane].iter().chain(keys).copied().collect();
        assert!(tmux(&session, &args).status.success());
        before
    }

    /// Presses a key at a dialog until it is gone; tells when the last one was pressed.
    ///
    /// A dialog that just opened takes no keys for a moment, so that nobody answers it by accident.
    #[track_caller]
    pub(crate) fn answer(&self, key: &str, dialog: &str) -> i64 {
        let mut pressed = 0;
        self.wait_until(&format!("{key} answers {dialog:?}"), || {
            pressed = self.press(&[key]);
            waited_for(Duration::from_secs(2), || !self.screen().contains(dialog))
        });
        pressed
    }

    /// What its terminal shows.
    #[track_caller]
    pub(crate) fn screen(&self) -> String {
        let session = self.show();
        let pane = session["handle"]["pane"].as_str().unwrap_or_default();
        let output = tmux(&session, &["capture-pane", "-p", "-t", pane]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until its terminal shows this; tells when it was seen.
    #[track_caller]
    pub(crate) fn wait_for_screen(&self, text: &str) -> i64 {
        let claim = format!("the screen shows {text:?}");
        self.wait_until(&claim, || self.screen().contains(text));
        now_ms()
    }
}

/// Waits until the terminal of this session, as it was told before, shows this: no daemon is asked.
#[track_caller]
pub(crate) fn wait_for_terminal(session: &Value, text: &str) {
    let pane = session["handle"]["pane"].as_str().unwrap();
    wait_until(&format!("the screen shows {text:?}"), || {
        let output = tmux(session, &["capture-pane", "-p", "-t", pane]);
        String::from_utf8_lossy(&output.stdout).contains(text)
    });
}
