//! The fake keeps what everybody promises who prepares worktrees.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ao_core::ids::SessionId;
use ao_core::ports::{BoxFuture, ProvisionError, ProvisionRequest, Provisioner, Provisions};
use ao_testkit::clock::JumpingClock;
use ao_testkit::contract::provisioner::{CommandEnd, ProvisionerHarness};
use ao_testkit::provisioner::{FakeProvisioner, Mishap};
use ao_testkit::tasks::TestTasks;

#[derive(Default)]
struct Harness {
    provisioner: FakeProvisioner,
}

impl ProvisionerHarness for Harness {
    fn provisioner(&self) -> &dyn Provisioner {
        &self.provisioner
    }

    fn request<'a>(&'a self, session: &'a str) -> BoxFuture<'a, ProvisionRequest> {
        let request = ProvisionRequest {
            session: SessionId::parse(session).unwrap_or_else(|error| unreachable!("{error}")),
            repo: PathBuf::from("/fake/repo"),
            path: PathBuf::from(format!("/fake/{session}")),
            provisions: Provisions::default(),
            env: BTreeMap::new(),
        };
        Box::pin(std::future::ready(request))
    }

    fn command(&self, end: CommandEnd) -> String {
        let command = format!("{end:?}");
        match end {
            CommandEnd::Well => {}
            CommandEnd::Badly => self.provisioner.next_run(Mishap::Fail(ProvisionError::Command {
                command: command.clone(),
                how: "ended with status 7".to_owned(),
                last: String::new(),
            })),
            CommandEnd::Never => self.provisioner.next_run(Mishap::Hang),
        }
        command
    }

    fn renew<'a>(&'a self, request: &'a ProvisionRequest) -> BoxFuture<'a, ()> {
        self.provisioner.forget_worktree(&request.path);
        Box::pin(std::future::ready(()))
    }
}

fn with(claim: &impl AsyncFn(&dyn ProvisionerHarness)) {
    let harness = Harness::default();
    TestTasks::new(JumpingClock::new(), 0).block_on(claim(&harness));
}

ao_testkit::provisioner_contract!(with);
