//! What every runtime and its terminals promise.

#![expect(clippy::expect_used, reason = "a suite fails by panicking")]

use std::path::PathBuf;
use std::sync::Arc;

use ao_core::fact::{ProcessProbe, RuntimeProbe, ServerProbe};
use ao_core::ids::{LaunchId, Nonce, ProjectId, SessionId};
use ao_core::ports::{
    BoxFuture, Clock, CreateRuntime, Ensured, HandleLook, Processes, Runtime, RuntimeError,
    ServerAnswer, ServerEvent, ServerFound, ServerLook, Terminal,
};
use ao_core::record::Exit;
use ao_core::session::{ProcessIdentity, RuntimeHandle, ServerIdentity};
use futures_util::future::{join_all, join3};

use super::wait_until;

/// What a runtime is asked to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Waits until it is ended.
    Waits,
    /// Ends at once with this status.
    Ends(u8),
    /// Keeps what is typed.
    Records,
}

/// A runtime, and the means to do to it what its promises speak of.
pub trait RuntimeHarness {
    /// The runtime of a home.
    fn runtime(&self) -> &dyn Runtime;
    /// Its terminals.
    fn terminal(&self) -> &dyn Terminal;
    /// The process table that its processes are in.
    fn processes(&self) -> &dyn Processes;
    /// The time that passes for it.
    fn clock(&self) -> &dyn Clock;
    /// Another home's runtime over the same servers.
    fn another_home(&self) -> Arc<dyn Runtime>;
    /// A directory to start in.
    fn directory(&self) -> PathBuf;
    /// A command line.
    fn argv(&self, program: Program) -> Vec<String>;
    /// Ends a process as `kill -9` does.
    fn kill_process(&self, process: &ProcessIdentity);
    /// Ends a session as a human at the prompt does.
    fn kill_session<'a>(&'a self, handle: &'a RuntimeHandle) -> BoxFuture<'a, ()>;
    /// Ends a server as `kill -9` does.
    fn kill_server(&self, server: &ServerIdentity);
    /// Keeps a server from answering.
    fn silence(&self, server: &ServerIdentity);
    /// Lets it answer again.
    fn let_speak(&self, server: &ServerIdentity);
    /// Whether a recording program keeps what is typed by now.
    fn is_recording<'a>(&'a self, handle: &'a RuntimeHandle) -> BoxFuture<'a, bool>;
    /// What it has kept, with a line feed for each time that Enter was typed or pasted.
    fn recorded(&self, handle: &RuntimeHandle) -> String;
}

/// Makes one test of each promise.
#[macro_export]
macro_rules! runtime_contract {
    ($with:path) => {
        $crate::contract_tests!($with, runtime:
            a_runtime_is_alive_until_it_is_destroyed,
            creating_twice_for_one_launch_is_creating_once,
            the_name_of_another_launch_is_taken,
            finding_starts_nothing,
            a_name_that_begins_like_another_is_another,
            a_handle_of_an_earlier_launch_names_nothing,
            a_program_that_ends_at_once_is_dead_with_its_status,
            a_killed_process_is_dead_with_its_signal,
            a_session_killed_by_hand_is_missing_and_its_server_lives,
            a_watch_tells_of_a_session_killed_by_hand,
            a_watch_misses_nothing_between_two_calls,
            a_killed_server_is_gone_and_a_new_one_is_not_it,
            a_server_that_does_not_answer_is_unreachable_and_never_gone,
            another_homes_server_is_not_touched,
            concurrent_creations_share_one_server,
            only_idle_servers_are_ended,
            a_survey_finds_what_nobody_named_and_nothing_of_strangers,
            pasted_text_arrives_byte_for_byte,
            a_paste_presses_no_enter_and_a_key_does,
            text_that_could_press_keys_is_refused,
            nothing_is_typed_at_a_program_that_ended,
        );
    };
}

fn request(harness: &dyn RuntimeHarness, session: &str, program: Program) -> CreateRuntime {
    let project = session.rsplit_once('-').map_or(session, |(project, _)| project);
    CreateRuntime {
        session: SessionId::parse(session).expect("a session id"),
        project: ProjectId::parse(project).expect("a project id"),
        launch: LaunchId::parse(format!("launch-of-{session}")).expect("a launch id"),
        nonce: Nonce::parse(format!("nonce-of-{session}")).expect("a nonce"),
        directory: harness.directory(),
        argv: harness.argv(program),
    }
}

async fn create(harness: &dyn RuntimeHarness, request: &CreateRuntime) -> RuntimeHandle {
    harness.runtime().create(request).await.expect("a runtime")
}

async fn create_named(harness: &dyn RuntimeHarness, session: &str) -> RuntimeHandle {
    create(harness, &request(harness, session, Program::Waits)).await
}

#[track_caller]
fn assert_look(look: &HandleLook, server: ServerProbe, runtime: RuntimeProbe) {
    assert_eq!((look.server, look.runtime), (server, runtime));
}

async fn until_dead(harness: &dyn RuntimeHarness, handle: &RuntimeHandle) -> HandleLook {
    let runtime = harness.runtime();
    wait_until(harness.clock(), "the runtime is dead", async || {
        let look = runtime.is_alive(handle).await;
        look.runtime == RuntimeProbe::Dead && look.exit.is_some()
    })
    .await;
    runtime.is_alive(handle).await
}

/// What is created lives, is seen by every look, and is gone when it is destroyed.
pub async fn a_runtime_is_alive_until_it_is_destroyed(harness: &dyn RuntimeHarness) {
    let request = request(harness, "app-1", Program::Waits);
    let handle = create(harness, &request).await;
    let runtime = harness.runtime();
    assert_look(&runtime.is_alive(&handle).await, ServerProbe::Living, RuntimeProbe::Alive);
    assert_eq!(harness.processes().probe(&handle.process), ProcessProbe::Alive);
    assert_eq!(handle.process.nonce.as_ref(), Some(&request.nonce));
    let ServerLook::Living { panes } = runtime.look_all(&handle.server).await else {
        unreachable!("the server lives")
    };
    let seen: Vec<_> = panes.iter().map(|p| (&*p.session, p.pid, &p.launch, p.is_dead)).collect();
    assert_eq!(seen, [("app-1", handle.process.pid, &Some(request.launch.clone()), false)]);

    assert_eq!(runtime.destroy(&handle).await, Ok(Ensured::Done));
    assert_look(&runtime.is_alive(&handle).await, ServerProbe::Living, RuntimeProbe::Missing);
    let nothing = ServerLook::Living { panes: Vec::new() };
    assert_eq!(runtime.look_all(&handle.server).await, nothing);
    assert_eq!(runtime.destroy(&handle).await, Ok(Ensured::AlreadyThere));
    wait_until(harness.clock(), "its process heard its terminal go away", async || {
        harness.processes().probe(&handle.process) == ProcessProbe::Dead
    })
    .await;
}

/// `create` is an ensure, and `find` finds the same.
pub async fn creating_twice_for_one_launch_is_creating_once(harness: &dyn RuntimeHarness) {
    let request = request(harness, "app-1", Program::Waits);
    let handle = create(harness, &request).await;
    assert_eq!(create(harness, &request).await, handle);
    assert_eq!(harness.runtime().find(&request).await, Ok(Some(handle)));
}

/// A runtime of another launch is neither returned nor replaced.
pub async fn the_name_of_another_launch_is_taken(harness: &dyn RuntimeHarness) {
    let first = request(harness, "app-1", Program::Waits);
    let handle = create(harness, &first).await;
    let launch = LaunchId::parse("another").expect("a launch id");
    let second = CreateRuntime { launch, ..first };
    let runtime = harness.runtime();
    let taken = RuntimeError::Taken { name: "app-1".to_owned() };
    assert_eq!(runtime.create(&second).await, Err(taken));
    assert_eq!(runtime.find(&second).await, Ok(None));
    assert_look(&runtime.is_alive(&handle).await, ServerProbe::Living, RuntimeProbe::Alive);
}

/// A look for a runtime starts neither it nor a server.
pub async fn finding_starts_nothing(harness: &dyn RuntimeHarness) {
    let request = request(harness, "app-1", Program::Waits);
    assert_eq!(harness.runtime().find(&request).await, Ok(None));
    assert_eq!(harness.runtime().end_idle_servers().await, Ok(Vec::new()));
}

/// Every server of the home is found with what is written on its runtimes; of another home's, and
/// of one that does not answer, only that it is there.
pub async fn a_survey_finds_what_nobody_named_and_nothing_of_strangers(
    harness: &dyn RuntimeHarness,
) {
    let runtime = harness.runtime();
    assert_eq!(runtime.survey().await, Ok(Vec::new()));
    let (app, lib) = (create_named(harness, "app-1").await, create_named(harness, "lib-1").await);
    harness.kill_process(&lib.process);
    until_dead(harness, &lib).await;
    let found = runtime.survey().await.expect("a survey");
    let seen = |handle: &RuntimeHandle, name: &str, is_dead: bool| {
        let of_socket = found.iter().find(|it| it.socket == handle.server.socket);
        let Some(ServerFound { answer: ServerAnswer::Ours { server, panes }, .. }) = of_socket
        else {
            unreachable!("the server of {name} is ours: {found:?}")
        };
        assert_eq!(*server, handle.server);
        let [pane] = &panes[..] else { unreachable!("one pane: {panes:?}") };
        let launch = LaunchId::parse(format!("launch-of-{name}")).ok();
        assert_eq!((&*pane.look.session, &pane.look.pane), (name, &handle.pane));
        assert_eq!((&pane.look.launch, pane.look.is_dead), (&launch, is_dead));
        let unsigned = ProcessIdentity { nonce: None, ..handle.process.clone() };
        assert_eq!(pane.process.as_ref(), Some(&unsigned), "a dead one is still named");
    };
    seen(&app, "app-1", false);
    seen(&lib, "lib-1", true);
    assert_eq!(found.len(), 2);
    let answers = harness.another_home().survey().await.expect("a survey");
    assert!(answers.iter().all(|it| it.answer == ServerAnswer::Stranger), "{answers:?}");
    harness.silence(&app.server);
    let found = runtime.survey().await.expect("a survey");
    let silent = found.iter().find(|it| it.socket == app.server.socket).map(|it| &it.answer);
    assert!(matches!(silent, Some(ServerAnswer::Unreachable { .. })), "{silent:?}");
    harness.let_speak(&app.server);
}

/// `app-1` is not `app-10`.
pub async fn a_name_that_begins_like_another_is_another(harness: &dyn RuntimeHarness) {
    let long = create_named(harness, "app-10").await;
    let runtime = harness.runtime();
    let short_request = request(harness, "app-1", Program::Waits);
    assert_eq!(runtime.find(&short_request).await, Ok(None));
    let short = create(harness, &short_request).await;
    assert_eq!(runtime.destroy(&short).await, Ok(Ensured::Done));
    assert_eq!(runtime.destroy(&short).await, Ok(Ensured::AlreadyThere));
    assert_look(&runtime.is_alive(&short).await, ServerProbe::Living, RuntimeProbe::Missing);
    let gone = RuntimeError::Gone { name: "app-1".to_owned() };
    assert_eq!(harness.terminal().paste(&short, "lost").await, Err(gone.clone()));
    assert_eq!(harness.terminal().get_output(&short, 10).await, Err(gone));
    assert_look(&runtime.is_alive(&long).await, ServerProbe::Living, RuntimeProbe::Alive);
}

/// A restored session has the name of the earlier one, and is not ended through its handle.
pub async fn a_handle_of_an_earlier_launch_names_nothing(harness: &dyn RuntimeHarness) {
    let first = request(harness, "app-1", Program::Waits);
    let earlier = create(harness, &first).await;
    let runtime = harness.runtime();
    assert_eq!(runtime.destroy(&earlier).await, Ok(Ensured::Done));
    let launch = LaunchId::parse("another").expect("a launch id");
    let later = create(harness, &CreateRuntime { launch, ..first }).await;
    assert_ne!(later, earlier);
    assert_look(&runtime.is_alive(&earlier).await, ServerProbe::Living, RuntimeProbe::Missing);
    assert_eq!(runtime.destroy(&earlier).await, Ok(Ensured::AlreadyThere));
    assert_look(&runtime.is_alive(&later).await, ServerProbe::Living, RuntimeProbe::Alive);
}

/// However short it lived, it has an identity and an exit status.
pub async fn a_program_that_ends_at_once_is_dead_with_its_status(harness: &dyn RuntimeHarness) {
    let request = request(harness, "app-1", Program::Ends(7));
    let handle = create(harness, &request).await;
    let look = until_dead(harness, &handle).await;
    assert_eq!(look.server, ServerProbe::Living);
    assert_eq!(look.exit, Some(Exit::Status(7)));
    assert_eq!(harness.processes().probe(&handle.process), ProcessProbe::Dead);
    assert_eq!(create(harness, &request).await, handle, "a dead runtime is still that runtime");
}

/// A pane that is kept after its process died is dead, not alive.
pub async fn a_killed_process_is_dead_with_its_signal(harness: &dyn RuntimeHarness) {
    let handle = create_named(harness, "app-1").await;
    harness.kill_process(&handle.process);
    let look = until_dead(harness, &handle).await;
    assert_eq!(look.server, ServerProbe::Living);
    assert_eq!(look.exit, Some(Exit::Signal(9)));
    assert_eq!(harness.runtime().destroy(&handle).await, Ok(Ensured::Done));
}

/// The server says that it has no such session, and that is an answer.
pub async fn a_session_killed_by_hand_is_missing_and_its_server_lives(
    harness: &dyn RuntimeHarness,
) {
    let (killed, other) =
        (create_named(harness, "app-1").await, create_named(harness, "app-2").await);
    harness.kill_session(&killed).await;
    let runtime = harness.runtime();
    assert_look(&runtime.is_alive(&killed).await, ServerProbe::Living, RuntimeProbe::Missing);
    assert_look(&runtime.is_alive(&other).await, ServerProbe::Living, RuntimeProbe::Alive);
    harness.kill_session(&other).await;
    assert_look(&runtime.is_alive(&other).await, ServerProbe::Living, RuntimeProbe::Missing);
}

/// Nobody has to wait for a pass.
pub async fn a_watch_tells_of_a_session_killed_by_hand(harness: &dyn RuntimeHarness) {
    let handle = create_named(harness, "app-1").await;
    let runtime = harness.runtime();
    assert_eq!(runtime.watch(&handle.server).await, ServerEvent::Changed, "the first tells so");
    let began = harness.clock().now();
    let watches = async {
        while runtime.is_alive(&handle).await.runtime != RuntimeProbe::Missing {
            assert_eq!(runtime.watch(&handle.server).await, ServerEvent::Changed);
        }
    };
    futures_util::join!(watches, harness.kill_session(&handle));
    let took = harness.clock().now().since(&began);
    assert!(took < std::time::Duration::from_secs(1), "it took {took:?}");
}

/// What happened while nobody watched ends the next watch.
pub async fn a_watch_misses_nothing_between_two_calls(harness: &dyn RuntimeHarness) {
    let (first, second) =
        (create_named(harness, "app-1").await, create_named(harness, "app-2").await);
    let runtime = harness.runtime();
    assert_eq!(runtime.watch(&first.server).await, ServerEvent::Changed);
    for handle in [first, second] {
        harness.kill_session(&handle).await;
        while runtime.is_alive(&handle).await.runtime != RuntimeProbe::Missing {
            assert_eq!(runtime.watch(&handle.server).await, ServerEvent::Changed);
        }
        assert_eq!(runtime.watch(&handle.server).await, ServerEvent::Changed);
    }
}

/// A dead server is proven dead by its process, whoever listens at its socket now.
pub async fn a_killed_server_is_gone_and_a_new_one_is_not_it(harness: &dyn RuntimeHarness) {
    let first = request(harness, "app-1", Program::Waits);
    let handle = create(harness, &first).await;
    let runtime = harness.runtime();
    assert_eq!(runtime.watch(&handle.server).await, ServerEvent::Changed);
    harness.kill_server(&handle.server);
    while runtime.watch(&handle.server).await != ServerEvent::Gone {}
    assert_look(&runtime.is_alive(&handle).await, ServerProbe::Gone, RuntimeProbe::Missing);
    assert_eq!(runtime.look_all(&handle.server).await, ServerLook::Gone);
    assert_eq!(runtime.destroy(&handle).await, Ok(Ensured::AlreadyThere));

    let launch = LaunchId::parse("another").expect("a launch id");
    let later = create(harness, &CreateRuntime { launch, ..first }).await;
    assert_ne!(later.server, handle.server);
    assert_look(&runtime.is_alive(&handle).await, ServerProbe::Gone, RuntimeProbe::Missing);
    assert_look(&runtime.is_alive(&later).await, ServerProbe::Living, RuntimeProbe::Alive);
}

/// No answer is not a finding.
pub async fn a_server_that_does_not_answer_is_unreachable_and_never_gone(
    harness: &dyn RuntimeHarness,
) {
    let handle = create_named(harness, "app-1").await;
    let runtime = harness.runtime();
    harness.silence(&handle.server);
    let (look, all, destroyed) = join3(
        runtime.is_alive(&handle),
        runtime.look_all(&handle.server),
        runtime.destroy(&handle),
    )
    .await;
    assert_look(&look, ServerProbe::Unreachable, RuntimeProbe::Unknown);
    assert!(matches!(all, ServerLook::Unreachable { .. }), "{all:?}");
    assert!(matches!(destroyed, Err(RuntimeError::Unavailable { .. })), "{destroyed:?}");
    harness.let_speak(&handle.server);
    assert_look(&runtime.is_alive(&handle).await, ServerProbe::Living, RuntimeProbe::Alive);
}

/// A server with another marker is neither used nor ended, whatever is asked of it.
pub async fn another_homes_server_is_not_touched(harness: &dyn RuntimeHarness) {
    let handle = create_named(harness, "app-1").await;
    let other = harness.another_home();
    let socket = handle.server.socket.clone();
    let stranger = Err(RuntimeError::Stranger { socket: socket.clone() });
    assert_eq!(other.create(&request(harness, "app-2", Program::Waits)).await, stranger);
    let found = other.find(&request(harness, "app-1", Program::Waits)).await;
    assert_eq!(found, Err(RuntimeError::Stranger { socket }));
    let look = other.look_all(&handle.server).await;
    assert!(matches!(look, ServerLook::Unreachable { .. }), "{look:?}");
    assert!(other.destroy(&handle).await.is_err());
    assert_eq!(harness.runtime().destroy(&handle).await, Ok(Ensured::Done));
    assert_eq!(other.end_idle_servers().await, Ok(Vec::new()), "idle, and another's");
    let look = harness.runtime().look_all(&handle.server).await;
    assert_eq!(look, ServerLook::Living { panes: Vec::new() });
}

/// Two spawns do not race to start a server.
pub async fn concurrent_creations_share_one_server(harness: &dyn RuntimeHarness) {
    let names = ["app-1", "app-2", "app-3", "app-4"];
    let handles = join_all(names.iter().map(|name| create_named(harness, name))).await;
    let server = handles.first().map(|handle| handle.server.clone()).expect("a handle");
    assert!(handles.iter().all(|handle| handle.server == server));
    let ServerLook::Living { panes } = harness.runtime().look_all(&server).await else {
        unreachable!("the server lives")
    };
    let mut seen: Vec<_> = panes.iter().map(|pane| &*pane.session).collect();
    seen.sort_unstable();
    assert_eq!(seen, names);
}

/// A daemon that stops leaves nothing running where nothing of value runs.
pub async fn only_idle_servers_are_ended(harness: &dyn RuntimeHarness) {
    let idle = create_named(harness, "idle-1").await;
    let busy = create_named(harness, "busy-1").await;
    let runtime = harness.runtime();
    assert_eq!(runtime.destroy(&idle).await, Ok(Ensured::Done));
    assert_eq!(runtime.end_idle_servers().await, Ok(vec![idle.server.socket.clone()]));
    assert_look(&runtime.is_alive(&busy).await, ServerProbe::Living, RuntimeProbe::Alive);
    wait_until(harness.clock(), "the idle server is gone", async || {
        runtime.look_all(&idle.server).await == ServerLook::Gone
    })
    .await;
    assert_eq!(runtime.end_idle_servers().await, Ok(Vec::new()));
}

async fn recorder(harness: &dyn RuntimeHarness) -> RuntimeHandle {
    let handle = create(harness, &request(harness, "app-1", Program::Records)).await;
    let is_recording = async || harness.is_recording(&handle).await;
    wait_until(harness.clock(), "the program records", is_recording).await;
    handle
}

async fn until_recorded(harness: &dyn RuntimeHarness, handle: &RuntimeHandle, text: &str) {
    let clock = harness.clock();
    wait_until(clock, "everything was received", async || {
        harness.recorded(handle).len() >= text.len()
    })
    .await;
    assert!(harness.recorded(handle) == text, "something else was received");
}

/// 100 kB of lines, tabs, and letters of one to four bytes.
pub async fn pasted_text_arrives_byte_for_byte(harness: &dyn RuntimeHarness) {
    let handle = recorder(harness).await;
    let text = "line:\tgrün → 漢字 🦀; 'q' \"$x\" \\n \n".repeat(2_500);
    assert!(text.len() > 100_000);
    harness.terminal().paste(&handle, &text).await.expect("a paste");
    until_recorded(harness, &handle, &text).await;
}

/// What is pasted waits for its Enter.
pub async fn a_paste_presses_no_enter_and_a_key_does(harness: &dyn RuntimeHarness) {
    let handle = recorder(harness).await;
    let terminal = harness.terminal();
    terminal.paste(&handle, "fix it").await.expect("a paste");
    until_recorded(harness, &handle, "fix it").await;
    terminal.press(&handle, "Enter").await.expect("a key");
    until_recorded(harness, &handle, "fix it\n").await;
    terminal.paste(&handle, "").await.expect("a paste of nothing");
    terminal.paste(&handle, "more;").await.expect("a paste");
    until_recorded(harness, &handle, "fix it\nmore;").await;
}

/// An escape sequence in a text could end the bracket that makes it text.
pub async fn text_that_could_press_keys_is_refused(harness: &dyn RuntimeHarness) {
    let handle = recorder(harness).await;
    for text in ["\u{1b}[201~\r", "a\rb", "\u{3}", "\u{9b}201~", "\0"] {
        let refused = harness.terminal().paste(&handle, text).await;
        assert!(matches!(refused, Err(RuntimeError::Refused { .. })), "{text:?}: {refused:?}");
    }
    harness.terminal().paste(&handle, "fine").await.expect("a paste");
    until_recorded(harness, &handle, "fine").await;
}

/// What is typed has a reader, or the caller hears that it has none.
pub async fn nothing_is_typed_at_a_program_that_ended(harness: &dyn RuntimeHarness) {
    let handle = create(harness, &request(harness, "app-1", Program::Ends(0))).await;
    until_dead(harness, &handle).await;
    let terminal = harness.terminal();
    let gone = Err(RuntimeError::Gone { name: "app-1".to_owned() });
    assert_eq!(terminal.paste(&handle, "hello").await, gone);
    assert_eq!(terminal.press(&handle, "Enter").await, gone);
    terminal.get_output(&handle, 10).await.expect("its last screen is kept");
    terminal.look(&handle).await.expect("its last screen is kept");
}
