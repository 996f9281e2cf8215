//! What all launch files promise.

#![expect(clippy::expect_used, reason = "a suite fails by panicking")]

use std::path::PathBuf;

use ao_core::ids::{
    AgentName, AgentSessionId, BranchName, IssueRef, LaunchId, Pid, ProjectId, RefName, SessionId,
    Sha,
};
use ao_core::ports::{BoxFuture, Clock, LaunchFile, LaunchOrigin, LaunchProof, Launches};
use ao_core::session::{Base, SessionKind};
use ao_core::time::Timestamp;

use super::wait_until;

/// Launch files, and the means to run a launcher.
pub trait LaunchesHarness {
    /// The files.
    fn launches(&self) -> &dyn Launches;
    /// The time that passes for them.
    fn clock(&self) -> &dyn Clock;
    /// A directory to start in.
    fn directory(&self) -> PathBuf;
    /// A command line that waits.
    fn waiting_argv(&self) -> Vec<String>;
    /// A directory that does not exist.
    fn missing_directory(&self) -> PathBuf;
    /// The name of a program that does not exist.
    fn missing_program(&self) -> String;
    /// Runs the launcher of a launch, and tells its process number.
    fn run<'a>(&'a self, launch: &'a LaunchId) -> BoxFuture<'a, Pid>;
    /// The text of a file that was written for an agent.
    fn agent_file(&self, path: &std::path::Path) -> Option<String>;
}

/// Makes one test of each promise.
#[macro_export]
macro_rules! launches_contract {
    ($with:path) => {
        $crate::contract_tests!($with, launches:
            what_is_written_is_read_back_until_it_is_removed,
            what_is_written_again_replaces_it,
            what_a_session_is_is_read_back_with_its_launch,
            the_files_of_an_agent_stay_below_their_launch,
            a_launch_that_was_not_run_proves_nothing,
            an_executed_agent_is_proven_with_its_number,
            a_missing_program_is_a_proven_failure,
            a_missing_directory_is_a_proven_failure,
            a_launch_that_names_no_program_is_a_proven_failure,
        );
    };
}

fn launch(name: &str) -> LaunchId {
    LaunchId::parse(name).expect("a launch id")
}

fn file(harness: &dyn LaunchesHarness, name: &str) -> LaunchFile {
    let env = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("AO_NONCE", "secret"), ("Q", "a'b\n\"c")];
    LaunchFile {
        launch: launch(name),
        session: SessionId::parse("app-1").expect("a session id"),
        directory: harness.directory(),
        argv: harness.waiting_argv(),
        env: env.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        origin: None,
    }
}

/// What a session is, with a line end and a quote wherever a text may stand.
fn origin(text: Option<&str>) -> LaunchOrigin {
    let some = || text.map(str::to_owned);
    LaunchOrigin {
        project: ProjectId::parse("app").expect("a project id"),
        kind: SessionKind::Orchestrator,
        agent: AgentName::parse("command").expect("an agent name"),
        issue: some().map(IssueRef::new),
        model: some(),
        permission_mode: some(),
        branch: BranchName::new("ao/app-1.2"),
        base: Base { name: some().map(RefName::new), sha: some().map(Sha::new) },
        prompt: some(),
        argv: some().into_iter().collect(),
        agent_session_id: some().map(AgentSessionId::new),
        created_at: Timestamp::from_millis(1_234),
    }
}

async fn proof_of(harness: &dyn LaunchesHarness, file: &LaunchFile) -> (Pid, LaunchProof) {
    let launches = harness.launches();
    launches.write(file, &[]).await.expect("a launch file");
    let pid = harness.run(&file.launch).await;
    wait_until(harness.clock(), "the launcher has come to an end", async || {
        let proof = launches.proof(&file.launch).await;
        matches!(proof, LaunchProof::Execed { .. } | LaunchProof::Failed { .. })
    })
    .await;
    (pid, launches.proof(&file.launch).await)
}

/// A launch is whole, listed while it has files, and gone when it is removed.
pub async fn what_is_written_is_read_back_until_it_is_removed(harness: &dyn LaunchesHarness) {
    let launches = harness.launches();
    assert_eq!(launches.list().await, Ok(Vec::new()));
    assert_eq!(launches.read(&launch("one")).await, Ok(None));
    let (one, two) = (file(harness, "one"), file(harness, "two"));
    launches.write(&one, &[]).await.expect("a launch file");
    launches.write(&two, &[]).await.expect("a launch file");
    assert_eq!(launches.read(&one.launch).await, Ok(Some(one.clone())));
    assert_eq!(launches.list().await, Ok(vec![one.launch.clone(), two.launch.clone()]));
    launches.remove(&one.launch).await.expect("a removal");
    launches.remove(&one.launch).await.expect("nothing is as good");
    assert_eq!(launches.read(&one.launch).await, Ok(None));
    assert_eq!(launches.list().await, Ok(vec![two.launch]));
}

/// The environment is known before the command line.
pub async fn what_is_written_again_replaces_it(harness: &dyn LaunchesHarness) {
    let launches = harness.launches();
    let whole = file(harness, "one");
    let first = LaunchFile { argv: Vec::new(), ..whole.clone() };
    launches.write(&first, &[]).await.expect("a launch file");
    assert_eq!(launches.read(&whole.launch).await, Ok(Some(first)));
    launches.write(&whole, &[]).await.expect("a launch file");
    assert_eq!(launches.read(&whole.launch).await, Ok(Some(whole)));
}

/// A daemon that has no record of the session learns from it what the session is.
pub async fn what_a_session_is_is_read_back_with_its_launch(harness: &dyn LaunchesHarness) {
    let launches = harness.launches();
    for text in [None, Some("two\nlines, \"quoted\" and `ä`")] {
        let file = LaunchFile { origin: Some(origin(text)), ..file(harness, "one") };
        launches.write(&file, &[]).await.expect("a launch file");
        assert_eq!(launches.read(&file.launch).await, Ok(Some(file)));
    }
}

/// A path from an agent's adapter cannot lead anywhere else.
pub async fn the_files_of_an_agent_stay_below_their_launch(harness: &dyn LaunchesHarness) {
    let launches = harness.launches();
    let file = file(harness, "one");
    let dir = launches.dir(&file.launch);
    let inside = [
        (PathBuf::from("settings.json"), "{}".to_owned()),
        (dir.join("prompt.md"), "fix it".to_owned()),
    ];
    launches.write(&file, &inside).await.expect("a launch file");
    assert_eq!(harness.agent_file(&dir.join("settings.json")).as_deref(), Some("{}"));
    assert_eq!(harness.agent_file(&dir.join("prompt.md")).as_deref(), Some("fix it"));
    for path in ["../two/launch.json", "/elsewhere"] {
        let outside = [(PathBuf::from(path), "x".to_owned())];
        let error = launches.write(&file, &outside).await.expect_err("a refusal");
        assert_eq!(error.path, PathBuf::from(path));
    }
}

/// Files alone are no proof.
pub async fn a_launch_that_was_not_run_proves_nothing(harness: &dyn LaunchesHarness) {
    let launches = harness.launches();
    let file = file(harness, "one");
    assert_eq!(launches.proof(&file.launch).await, LaunchProof::NotStarted);
    launches.write(&file, &[]).await.expect("a launch file");
    assert_eq!(launches.proof(&file.launch).await, LaunchProof::NotStarted);
}

/// The launcher's process is the agent's.
pub async fn an_executed_agent_is_proven_with_its_number(harness: &dyn LaunchesHarness) {
    let (pid, proof) = proof_of(harness, &file(harness, "one")).await;
    assert_eq!(proof, LaunchProof::Execed { pid });
}

#[track_caller]
fn assert_failed(proof: &LaunchProof, names: &str) {
    let LaunchProof::Failed { because } = proof else {
        unreachable!("it cannot have been executed: {proof:?}")
    };
    assert!(because.contains(names), "`{because}` does not name `{names}`");
}

/// A bad command is not a running session.
pub async fn a_missing_program_is_a_proven_failure(harness: &dyn LaunchesHarness) {
    let program = harness.missing_program();
    let file = LaunchFile { argv: vec![program.clone()], ..file(harness, "one") };
    let (_, proof) = proof_of(harness, &file).await;
    assert_failed(&proof, &program);
}

/// An agent never starts in another directory than its own.
pub async fn a_missing_directory_is_a_proven_failure(harness: &dyn LaunchesHarness) {
    let directory = harness.missing_directory();
    let file = LaunchFile { directory: directory.clone(), ..file(harness, "one") };
    let (_, proof) = proof_of(harness, &file).await;
    assert_failed(&proof, &directory.to_string_lossy());
}

/// While only the environment is known, nothing can be started.
pub async fn a_launch_that_names_no_program_is_a_proven_failure(harness: &dyn LaunchesHarness) {
    let file = LaunchFile { argv: Vec::new(), ..file(harness, "one") };
    let (_, proof) = proof_of(harness, &file).await;
    assert_failed(&proof, "program");
}
