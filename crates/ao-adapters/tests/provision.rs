//! Links, copies and commands on the disk, in worktrees that git made.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ao_adapters::cmd::Cmd;
use ao_adapters::provision::DiskProvisioner;
use ao_core::ids::SessionId;
use ao_core::ports::{
    BoxFuture, Ensured, ProvisionError, ProvisionRequest, Provisioner, Provisions,
};
use ao_testkit::contract::provisioner::{CommandEnd, ProvisionerHarness};
use tempfile::TempDir;

struct Place {
    dir: TempDir,
    provisioner: DiskProvisioner,
}

async fn git(dir: &Path, args: &[&str]) {
    let output = Cmd::new("git").args(args).dir(dir).run().await.unwrap();
    assert!(output.status.success(), "{args:?}: {}", output.stderr_text());
}

impl Place {
    /// A repository with a worktree beside it.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().join("repo");
        fs::create_dir(&repo).unwrap();
        git(&repo, &["init", "-q", "-b", "main"]).await;
        let me = ["-c", "user.name=a", "-c", "user.email=a@b"];
        fs::write(repo.join("tracked"), "tracked\n").unwrap();
        git(&repo, &["add", "."]).await;
        git(&repo, &[&me[..], &["commit", "-qm", "one"]].concat()).await;
        git(&repo, &["worktree", "add", "-q", "../work"]).await;
        let logs = dir.path().join("setup");
        Self { provisioner: DiskProvisioner::new(logs, Duration::from_secs(20)), dir }
    }

    fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    fn request(&self, link: &[&str], copy: &[&str], post_create: &[&str]) -> ProvisionRequest {
        let own = |all: &[&str]| all.iter().map(|&it| it.to_owned()).collect();
        let path = "/usr/local/bin:/usr/bin:/bin".to_owned();
        ProvisionRequest {
            session: SessionId::parse("app-1").unwrap(),
            repo: self.repo(),
            path: self.work(),
            provisions: Provisions {
                link: own(link),
                copy: own(copy),
                post_create: own(post_create),
            },
            env: BTreeMap::from([("PATH".to_owned(), path), ("MINE".to_owned(), "yes".to_owned())]),
        }
    }

    async fn log(&self) -> String {
        self.provisioner.log(&SessionId::parse("app-1").unwrap()).await.unwrap()
    }
}

#[tokio::test]
async fn links_and_copies_come_from_the_main_worktree_with_their_modes() {
    let place = Place::new().await;
    let repo = place.repo();
    fs::create_dir_all(repo.join("node_modules/x")).unwrap();
    fs::write(repo.join(".env"), "KEY=1\n").unwrap();
    fs::set_permissions(repo.join(".env"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir_all(repo.join("conf/deep")).unwrap();
    fs::write(repo.join("conf/deep/run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(repo.join("conf/deep/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("deep/run.sh", repo.join("conf/run")).unwrap();
    fs::set_permissions(repo.join("conf/deep"), fs::Permissions::from_mode(0o555)).unwrap();

    let request = place.request(&["node_modules/"], &[".env", "conf", "missing"], &[]);
    assert_eq!(place.provisioner.place(&request).await, Ok(Ensured::Done));
    let work = place.work();
    assert_eq!(fs::read_link(work.join("node_modules")).unwrap(), repo.join("node_modules"));
    let mode = |path: &str| work.join(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(".env"), mode("conf/deep/run.sh"), mode("conf/deep")), (0o600, 0o755, 0o555));
    assert_eq!(fs::read_link(work.join("conf/run")).unwrap(), Path::new("deep/run.sh"));
    assert!(!work.join("missing").exists());
    let log = place.log().await;
    assert!(log.contains("copy missing: the main worktree has none"), "{log}");
    // Made writable again, so that the directories of the test can be removed.
    for top in [&repo, &work] {
        fs::set_permissions(top.join("conf/deep"), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test]
async fn what_stands_in_the_worktree_is_not_replaced_and_nothing_is_written_outside_of_it() {
    let place = Place::new().await;
    let (repo, work) = (place.repo(), place.work());
    let outside = place.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(repo.join("tracked"), "changed in the main worktree\n").unwrap();
    fs::create_dir(repo.join("sub")).unwrap();
    fs::write(repo.join("sub/.env"), "KEY=1\n").unwrap();
    symlink(&outside, work.join("sub")).unwrap();

    let request = place.request(&[], &["tracked"], &[]);
    assert_eq!(place.provisioner.place(&request).await, Ok(Ensured::Done));
    assert_eq!(fs::read_to_string(work.join("tracked")).unwrap(), "tracked\n");
    for name in ["sub/.env", "../outside/x", ".git/x"] {
        let request = place.request(&[], &[name], &[]);
        let refused = place.provisioner.place(&request).await.unwrap_err();
        assert!(matches!(refused, ProvisionError::Path { .. }), "{name}: {refused}");
    }
    assert!(fs::read_dir(&outside).unwrap().next().is_none());
}

#[tokio::test]
async fn an_interrupted_copy_is_made_anew_and_a_prepared_worktree_left_alone() {
    let place = Place::new().await;
    let (repo, work) = (place.repo(), place.work());
    fs::create_dir(repo.join("data")).unwrap();
    fs::write(repo.join("data/a"), "whole\n").unwrap();
    // What a call left that died while it copied.
    fs::create_dir(work.join(".ao-copying")).unwrap();
    fs::write(work.join(".ao-copying/a"), "who").unwrap();
    let request = place.request(&["data"], &["data"], &["echo ran >> ran"]);
    let copy = place.request(&[], &["data"], &["echo ran >> ran"]);
    assert_eq!(place.provisioner.place(&copy).await, Ok(Ensured::Done));
    assert_eq!(fs::read_to_string(work.join("data/a")).unwrap(), "whole\n");
    assert!(!work.join(".ao-copying").exists());
    assert_eq!(place.provisioner.place(&request).await, Ok(Ensured::Done));
    assert!(!work.join("data").is_symlink(), "the copy is there already");
    place.provisioner.run(&request).await.unwrap();
    assert_eq!(place.provisioner.place(&request).await, Ok(Ensured::AlreadyThere));
    assert_eq!(fs::read_to_string(work.join("ran")).unwrap(), "ran\n");
}

#[tokio::test]
async fn commands_run_in_the_worktree_with_the_environment_and_are_told_when_they_fail() {
    let place = Place::new().await;
    let script = "pwd; echo \"mine: $MINE, home: $HOME\"; echo warned >&2";
    let request = place.request(&[], &[], &[script]);
    place.provisioner.place(&request).await.unwrap();
    place.provisioner.run(&request).await.unwrap();
    let log = place.log().await;
    let top = place.work().canonicalize().unwrap();
    let expect = format!("{}\nmine: yes, home: \nwarned\n", top.display());
    assert!(log.contains(&expect), "{log}");

    let place = Place::new().await;
    let failing = "echo first; printf 'no \\033[31mlockfile\\n' >&2; exit 3";
    let request = place.request(&[], &[], &["echo fine", failing, "echo never"]);
    place.provisioner.place(&request).await.unwrap();
    let failed = place.provisioner.run(&request).await.unwrap_err();
    let ProvisionError::Command { command, how, last } = &failed else { panic!("{failed}") };
    assert_eq!((command.as_str(), how.as_str()), (failing, "ended with status 3"));
    assert_eq!(last, "first no  [31mlockfile", "what a terminal would obey is taken out");
    let log = place.log().await;
    assert!(log.contains("fine") && !log.contains("\nnever"), "{log}");
    let place_again = place.provisioner.place(&request).await;
    assert_eq!(place_again, Ok(Ensured::Done), "it was not prepared to its end");
}

#[tokio::test]
async fn a_command_that_hangs_or_floods_is_bounded() {
    let mut place = Place::new().await;
    place.provisioner =
        DiskProvisioner::new(place.dir.path().join("setup"), Duration::from_millis(300));
    let request = place.request(&[], &[], &["echo before; sleep 600"]);
    place.provisioner.place(&request).await.unwrap();
    let failed = place.provisioner.run(&request).await.unwrap_err().to_string();
    assert!(failed.contains("did not end within") && failed.contains("before"), "{failed}");

    let place = Place::new().await;
    let flood = "yes flood | head -c 3000000; echo the end; exit 1";
    let request = place.request(&[], &[], &[flood]);
    place.provisioner.place(&request).await.unwrap();
    let failed = place.provisioner.run(&request).await.unwrap_err().to_string();
    assert!(failed.ends_with("the end"), "{failed}");
    assert!(failed.len() < 700, "{}", failed.len());
    let log = place.log().await;
    assert!(log.len() < 1024 * 1024 + 200 && log.contains("the rest was not kept"));
}

#[tokio::test]
async fn what_a_command_leaves_running_is_not_waited_for() {
    let place = Place::new().await;
    let request = place.request(&[], &[], &["sleep 30 & echo $! > pid"]);
    place.provisioner.place(&request).await.unwrap();
    place.provisioner.run(&request).await.unwrap();
    let pid = fs::read_to_string(place.work().join("pid")).unwrap();
    let killed = Cmd::new("kill").arg(pid.trim()).run().await.unwrap();
    assert!(killed.status.success(), "it was ended with the command");
}

/// Worktrees of one repository, and commands that leave nothing behind.
struct Harness(Place);

impl ProvisionerHarness for Harness {
    fn provisioner(&self) -> &dyn Provisioner {
        &self.0.provisioner
    }

    fn request<'a>(&'a self, session: &'a str) -> BoxFuture<'a, ProvisionRequest> {
        Box::pin(async move {
            for name in ["linked", "copied"] {
                fs::write(self.0.repo().join(name), "text\n").unwrap();
            }
            let path = self.0.dir.path().join(session);
            let name = path.to_str().unwrap();
            git(&self.0.repo(), &["worktree", "add", "-q", "--detach", name]).await;
            let session = SessionId::parse(session).unwrap();
            ProvisionRequest { session, path, ..self.0.request(&[], &[], &[]) }
        })
    }

    fn command(&self, end: CommandEnd) -> String {
        let command = match end {
            CommandEnd::Well => "true",
            CommandEnd::Badly => "exit 7",
            CommandEnd::Never => "exec sleep 600",
        };
        command.to_owned()
    }

    fn renew<'a>(&'a self, request: &'a ProvisionRequest) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let (repo, name) = (self.0.repo(), request.path.to_str().unwrap());
            git(&repo, &["worktree", "remove", "--force", name]).await;
            git(&repo, &["worktree", "add", "-q", "--detach", name]).await;
        })
    }
}

mod contract {
    use super::{Harness, Place, ProvisionerHarness};

    fn with(claim: &impl AsyncFn(&dyn ProvisionerHarness)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { claim(&Harness(Place::new().await)).await });
    }

    ao_testkit::provisioner_contract!(with);
}
