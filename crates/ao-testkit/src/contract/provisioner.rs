//! What everybody promises who prepares worktrees.

#![expect(clippy::expect_used, reason = "a suite fails by panicking")]

use ao_core::ids::SessionId;
use ao_core::ports::{
    BoxFuture, Ensured, ProvisionError, ProvisionRequest, Provisioner, Provisions,
};
use futures_util::FutureExt as _;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandEnd {
    /// With success.
    Well,
    /// With a failure.
    Badly,
    /// Not by itself.
    Never,
}

/// Somebody who prepares worktrees, and the worktrees.
pub trait ProvisionerHarness {
    /// Who prepares them.
    fn provisioner(&self) -> &dyn Provisioner;
    /// A fresh worktree of a session, to be given nothing yet. Its main worktree has `linked` and
    /// `copied`, and not `missing`.
    fn request<'a>(&'a self, session: &'a str) -> BoxFuture<'a, ProvisionRequest>;
    /// A command line; the next run of commands ends like this.
    fn command(&self, end: CommandEnd) -> String;
    /// Removes a worktree and makes it again.
    fn renew<'a>(&'a self, request: &'a ProvisionRequest) -> BoxFuture<'a, ()>;
}

/// Makes one test of each promise.
#[macro_export]
macro_rules! provisioner_contract {
    ($with:path) => {
        $crate::contract_tests!($with, provisioner:
            a_worktree_is_prepared_once,
            a_worktree_without_wishes_is_prepared_at_once,
            what_was_placed_is_not_yet_prepared,
            a_command_that_fails_leaves_it_to_be_prepared_again,
            a_run_that_was_given_up_leaves_it_to_be_prepared_again,
            a_worktree_that_was_made_again_is_prepared_again,
            a_path_that_leaves_the_worktree_is_refused,
            each_session_has_the_log_of_its_last_preparation,
        );
    };
}

async fn request(
    harness: &dyn ProvisionerHarness,
    session: &str,
    end: CommandEnd,
) -> ProvisionRequest {
    let own = |names: &[&str]| names.iter().map(|&it| it.to_owned()).collect();
    let provisions = Provisions {
        link: own(&["linked"]),
        copy: own(&["copied", "missing"]),
        post_create: vec![harness.command(end)],
    };
    ProvisionRequest { provisions, ..harness.request(session).await }
}

/// The same worktree with another command.
fn again(
    harness: &dyn ProvisionerHarness,
    request: &ProvisionRequest,
    end: CommandEnd,
) -> ProvisionRequest {
    let mut request = request.clone();
    request.provisions.post_create = vec![harness.command(end)];
    request
}

async fn log(harness: &dyn ProvisionerHarness, session: &SessionId) -> String {
    harness.provisioner().log(session).await.expect("a log")
}

/// Commands included: they may take a quarter of an hour.
pub async fn a_worktree_is_prepared_once(harness: &dyn ProvisionerHarness) {
    let request = request(harness, "app-1", CommandEnd::Well).await;
    let provisioner = harness.provisioner();
    assert_eq!(log(harness, &request.session).await, "");
    assert_eq!(provisioner.place(&request).await, Ok(Ensured::Done));
    assert_eq!(provisioner.run(&request).await, Ok(()));
    for _ in 0..2 {
        assert_eq!(provisioner.place(&request).await, Ok(Ensured::AlreadyThere));
    }
    let log = log(harness, &request.session).await;
    for part in ["linked", "copied", &*request.provisions.post_create.concat()] {
        assert!(log.contains(part), "{part}: {log}");
    }
}

/// Nothing is as good as anything.
pub async fn a_worktree_without_wishes_is_prepared_at_once(harness: &dyn ProvisionerHarness) {
    let request = harness.request("app-1").await;
    assert_eq!(request.provisions, Provisions::default());
    let provisioner = harness.provisioner();
    assert_eq!(provisioner.place(&request).await, Ok(Ensured::Done));
    assert_eq!(provisioner.run(&request).await, Ok(()));
    assert_eq!(provisioner.place(&request).await, Ok(Ensured::AlreadyThere));
}

/// A crash between the two repeats the first.
pub async fn what_was_placed_is_not_yet_prepared(harness: &dyn ProvisionerHarness) {
    let request = request(harness, "app-1", CommandEnd::Well).await;
    for _ in 0..3 {
        assert_eq!(harness.provisioner().place(&request).await, Ok(Ensured::Done));
    }
}

/// It is told which one, and the next try begins with the first.
pub async fn a_command_that_fails_leaves_it_to_be_prepared_again(harness: &dyn ProvisionerHarness) {
    let request = request(harness, "app-1", CommandEnd::Badly).await;
    let provisioner = harness.provisioner();
    assert_eq!(provisioner.place(&request).await, Ok(Ensured::Done));
    let failed = provisioner.run(&request).await.expect_err("it fails");
    assert_eq!(failed.code(), "POST_CREATE_FAILED", "{failed}");
    let ProvisionError::Command { command, .. } = &failed else { unreachable!("{failed}") };
    assert_eq!(*command, request.provisions.post_create.concat());
    let request = again(harness, &request, CommandEnd::Well);
    assert_eq!(provisioner.place(&request).await, Ok(Ensured::Done));
    assert_eq!(provisioner.run(&request).await, Ok(()));
    assert_eq!(provisioner.place(&request).await, Ok(Ensured::AlreadyThere));
}

/// A kill does not wait for a command, and a restore begins anew.
pub async fn a_run_that_was_given_up_leaves_it_to_be_prepared_again(
    harness: &dyn ProvisionerHarness,
) {
    let request = request(harness, "app-1", CommandEnd::Never).await;
    let provisioner = harness.provisioner();
    assert_eq!(provisioner.place(&request).await, Ok(Ensured::Done));
    assert_eq!(provisioner.run(&request).now_or_never(), None);
    assert_eq!(provisioner.place(&request).await, Ok(Ensured::Done));
    let request = again(harness, &request, CommandEnd::Well);
    assert_eq!(provisioner.run(&request).await, Ok(()));
    assert_eq!(provisioner.place(&request).await, Ok(Ensured::AlreadyThere));
}

/// What was prepared went with the old one.
pub async fn a_worktree_that_was_made_again_is_prepared_again(harness: &dyn ProvisionerHarness) {
    let request = request(harness, "app-1", CommandEnd::Well).await;
    let provisioner = harness.provisioner();
    assert_eq!(provisioner.place(&request).await, Ok(Ensured::Done));
    assert_eq!(provisioner.run(&request).await, Ok(()));
    harness.renew(&request).await;
    assert_eq!(provisioner.place(&request).await, Ok(Ensured::Done));
}

/// Neither as a link nor as a copy.
pub async fn a_path_that_leaves_the_worktree_is_refused(harness: &dyn ProvisionerHarness) {
    let fresh = harness.request("app-1").await;
    for bad in ["../other", "/etc/passwd", ".git/config"] {
        let bad = vec![bad.to_owned()];
        let link = Provisions { link: bad.clone(), ..Provisions::default() };
        let copy = Provisions { copy: bad, ..Provisions::default() };
        for provisions in [link, copy] {
            let request = ProvisionRequest { provisions, ..fresh.clone() };
            let refused = harness.provisioner().place(&request).await.expect_err("it is refused");
            assert_eq!(refused.code(), "PROVISION_FAILED", "{refused}");
        }
    }
}

/// One that was forgotten has none, and is prepared all the same.
pub async fn each_session_has_the_log_of_its_last_preparation(harness: &dyn ProvisionerHarness) {
    let provisioner = harness.provisioner();
    let one = request(harness, "app-1", CommandEnd::Badly).await;
    assert_eq!(provisioner.place(&one).await, Ok(Ensured::Done));
    assert!(provisioner.run(&one).await.is_err());
    let failing = one.provisions.post_create.concat();
    assert!(log(harness, &one.session).await.contains(&failing));
    let one = again(harness, &one, CommandEnd::Well);
    assert_eq!(provisioner.place(&one).await, Ok(Ensured::Done));
    assert_eq!(provisioner.run(&one).await, Ok(()));
    let told = log(harness, &one.session).await;
    assert!(!told.contains(&failing) && told.contains(&*one.provisions.post_create.concat()));

    let two = harness.request("app-2").await;
    assert_eq!(log(harness, &two.session).await, "");
    for _ in 0..2 {
        assert_eq!(provisioner.forget(&one.session).await, Ok(()));
        assert_eq!(log(harness, &one.session).await, "");
    }
    assert_eq!(provisioner.place(&one).await, Ok(Ensured::AlreadyThere));
}
