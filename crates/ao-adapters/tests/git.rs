//! Git worktrees against a real git.

mod bench;
mod cleanup;
mod create;
mod late;
mod looks;
mod recover;
mod removal;
mod sparse;
mod traces;
mod trash;

use ao_testkit::contract::workspace::workspace_contract;

use bench::Bench;

#[tokio::test]
async fn git_keeps_the_workspace_contract() {
    workspace_contract(&Bench::new()).await;
}
