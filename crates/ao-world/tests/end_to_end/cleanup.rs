//! Cleaning up, getting back, forgetting, opening: on real git, with a daemon that may be killed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::world::{World, git, refusal};

fn worktree(world: &World, id: &str) -> PathBuf {
    PathBuf::from(world.session(id)["workspace_path"].as_str().unwrap())
}

/// A session whose agent did this and ended by itself.
fn ended(world: &World, name: &str, script: &str) -> String {
    let id = world.spawn(name, &format!("ao report active; {script}; exit 0"));
    world.ao(&["wait", &id, "--for", "errored", "done", "terminated", "--timeout", "25s"]);
    let is_put_away = || world.session(&id)["phase"] == "ended";
    super::world::wait_until("it is put away", is_put_away);
    id
}

/// A commit of a file in the working directory of an agent.
fn commit(name: &str) -> String {
    format!(
        "echo {name} > {name}; git add {name}; git -c user.name=a -c user.email=a@a commit -qm {name}"
    )
}

/// What a cleanup says of a session: its action and its reason.
#[track_caller]
fn about<'a>(cleaned: &'a Value, id: &str) -> (&'a str, &'a str) {
    let one = cleaned.as_array().unwrap().iter().find(|one| one["id"] == *id);
    let one = one.unwrap_or_else(|| panic!("{id} is not in {cleaned:#}"));
    assert_eq!(one.as_object().unwrap().len(), 3, "{one:#}");
    (one["action"].as_str().unwrap(), one["reason"].as_str().unwrap())
}

#[test]
fn a_cleanup_frees_what_is_merged_and_says_why_it_skips_the_rest() {
    let world = World::started();
    let empty = ended(&world, "empty", "true");
    let merged = ended(&world, "merged", &commit("merged"));
    let squashed = ended(&world, "squashed", &format!("{}; {}", commit("one"), commit("two")));
    let unmerged = ended(&world, "unmerged", &commit("unmerged"));
    let dirty = ended(&world, "dirty", "echo new > untracked");
    let live = world.spawn("live", "ao report active; exec sleep 600");
    let branch = |id: &str| world.session(id)["branch"].as_str().unwrap().to_owned();
    let repo = world.repo();
    git(&repo, &["merge", "-q", "--no-ff", "--no-edit", &branch(&merged)]);
    git(&repo, &["merge", "-q", "--squash", &branch(&squashed)]);
    git(&repo, &["commit", "-q", "-m", "both at once"]);
    let branches = git(&repo, &["branch", "--list"]);

    let told = world.json(&["cleanup", "--dry-run"]);
    let expect = |cleaned: &Value| {
        assert_eq!(about(cleaned, &empty), ("removed", "it committed nothing"));
        let (action, reason) = about(cleaned, &merged);
        assert_eq!((action, reason.contains("is in `main`")), ("removed", true), "{reason}");
        let (action, reason) = about(cleaned, &squashed);
        assert_eq!((action, reason.contains("one squashed change")), ("removed", true), "{reason}");
        let (action, reason) = about(cleaned, &unmerged);
        assert_eq!((action, reason.contains("1 commit that")), ("skipped", true), "{reason}");
        let (action, reason) = about(cleaned, &dirty);
        assert_eq!((action, reason.contains("`untracked`")), ("skipped", true), "{reason}");
        let (action, reason) = about(cleaned, &live);
        assert_eq!((action, reason.contains("has not ended")), ("skipped", true), "{reason}");
    };
    expect(&told);
    assert_eq!(git(&repo, &["branch", "--list"]), branches, "it was only told");
    assert_eq!(world.worktrees().len(), 7);

    let tip = git(&repo, &["rev-parse", &branch(&squashed)]);
    expect(&world.json(&["cleanup", "--project", "hello"]));
    assert_eq!(world.worktrees().len(), 4, "the repository, unmerged, dirty, live");
    for id in [&empty, &merged, &squashed] {
        assert!(!worktree(&world, id).exists());
        assert_eq!(git(&repo, &["branch", "--list", &branch(id)]), "");
        assert_eq!(world.session(id)["lifecycle"]["session"]["reason"], "agent_process_exited");
    }
    assert_eq!(git(&repo, &["rev-parse", &format!("refs/ao/preserved/{squashed}")]), tip);
    assert_eq!(fs::read(worktree(&world, &dirty).join("untracked")).unwrap(), b"new\n");
    world.wait_for(&live, "working");

    let again = world.json(&["cleanup"]);
    assert_eq!(about(&again, &merged), ("skipped", "nothing of it is left to free"));
    let text = world.ok(&["cleanup"]);
    assert!(
        !text.contains(&format!("{merged}:")) && text.contains(&format!("{dirty}: skipped")),
        "{text}"
    );
}

#[test]
fn a_discarded_session_comes_back_byte_for_byte_and_twice_is_as_good() {
    let world = World::started();
    let script = format!(
        "{}; printf 'changed\\0bytes' > README.md; mkdir deep; echo new > deep/untracked; \
         echo staged > staged; git add staged; echo .env >> \"$(git rev-parse --git-common-dir)/info/exclude\"; \
         echo SECRET=1 > .env",
        commit("done")
    );
    let id = ended(&world, "rich", &script);
    let path = worktree(&world, &id);
    let status = git(&path, &["status", "--porcelain=v2", "--branch", "--ignored"]);
    let cleaned = world.json(&["cleanup", "--discard"]);
    let (action, reason) = about(&cleaned, &id);
    assert_eq!(action, "removed");
    let preserved = format!("refs/ao/preserved/{id}");
    assert!(reason.contains(&preserved) && reason.contains("ao recover"), "{reason}");
    assert!(!path.exists());

    let recovered = world.json(&["recover", &id]);
    assert_eq!(recovered["workspace_path"], path.to_str().unwrap());
    assert_eq!(recovered["branch"], world.session(&id)["branch"]);
    assert_eq!(recovered["preserved_ref"], preserved);
    assert_eq!(recovered["remaining"], json!([]));
    assert_eq!(git(&path, &["status", "--porcelain=v2", "--branch", "--ignored"]), status);
    assert_eq!(fs::read(path.join("README.md")).unwrap(), b"changed\0bytes");
    assert_eq!(fs::read(path.join("deep/untracked")).unwrap(), b"new\n");
    assert_eq!(fs::read(path.join(".env")).unwrap(), b"SECRET=1\n");

    fs::write(path.join("README.md"), "later").unwrap();
    let again = world.ok(&["recover", &id]);
    assert!(again.contains("brought back before"), "{again}");
    assert_eq!(fs::read(path.join("README.md")).unwrap(), b"later");
    // The record accounts for the worktree that is there again.
    let refused = world.refused(&["rm", &id]);
    assert_eq!((refused.exit, refused.code.as_str()), (4, "WORKTREE_LEFT"));
    assert_eq!(about(&world.json(&["cleanup"]), &id).0, "skipped");
    world.ok(&["kill", "--discard", &id]);
    assert!(!path.exists());
}

#[test]
fn a_record_is_removed_once_its_worktree_is_gone_and_its_work_outlives_it() {
    let world = World::started();
    let live = world.spawn("live", "ao report active; exec sleep 600");
    let refused = world.refused(&["rm", &live]);
    assert_eq!((refused.exit, refused.code.as_str()), (4, "SESSION_LIVE"));
    assert!(refused.hint.contains("ao kill"), "{refused:?}");
    let id = ended(&world, "dirty", "echo new > untracked");
    let path = worktree(&world, &id);
    let refused = world.refused(&["rm", &id]);
    assert_eq!((refused.exit, refused.code.as_str()), (4, "WORKTREE_LEFT"));
    assert!(
        refused.hint.contains("ao cleanup") && refused.hint.contains("--discard"),
        "{refused:?}"
    );
    assert!(path.join("untracked").exists());

    world.ok(&["kill", "--discard", &id]);
    let removed = world.json(&["rm", &id]);
    assert_eq!(removed["id"], *id);
    assert_eq!(removed["preserved_ref"], format!("refs/ao/preserved/{id}"));
    assert_eq!(world.refused(&["show", &id]).exit, 3);
    assert_eq!(world.refused(&["rm", &id]).exit, 3);

    let recovered = world.json(&["recover", &id]);
    assert_eq!(recovered["workspace_path"], path.to_str().unwrap(), "{recovered:#}");
    assert_eq!(fs::read(path.join("untracked")).unwrap(), b"new\n");
    let refused = world.refused(&["recover", "hello-99"]);
    assert_eq!((refused.exit, refused.code.as_str()), (3, "SESSION_UNKNOWN"));
    let refused = world.refused(&["recover", &live]);
    assert_eq!((refused.exit, refused.code.as_str()), (3, "NOTHING_PRESERVED"));
}

#[test]
fn a_daemon_killed_during_a_cleanup_finishes_it_when_it_is_back() {
    let world = World::started();
    let ids: Vec<String> = (0..6).map(|n| ended(&world, &format!("s{n}"), "true")).collect();
    let mut cleanup = world.command(&["cleanup"]);
    let mut running = cleanup
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let first = worktree(&world, &ids[0]);
    super::world::wait_until("the cleanup is under way", || !first.exists());
    world.crash();
    running.wait().unwrap();
    world.ok(&["start"]);
    world.ok(&["cleanup"]);
    let is_settled = || {
        let again = world.json(&["cleanup"]);
        ids.iter().all(|id| about(&again, id) == ("skipped", "nothing of it is left to free"))
    };
    super::world::wait_until("everything is freed", is_settled);
    assert_eq!(world.worktrees().len(), 1);
    assert_eq!(git(&world.repo(), &["branch", "--list", "ao/*"]), "");
    assert_eq!(git(&world.repo(), &["for-each-ref", "refs/ao/sessions"]), "");
}

#[test]
fn what_a_cleanup_freed_is_nobodys_loss_and_can_be_restored_by_its_id() {
    let world = World::started();
    let id = world.spawn("lost", "ao report active; exec sleep 600");
    let pid = world.pid(&id);
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    super::world::wait_until("it ended", || world.session(&id)["phase"] == "ended");
    assert_eq!(world.session(&id)["restore"]["lost"], true);
    assert_eq!(about(&world.json(&["cleanup"]), &id).0, "removed");
    assert_eq!(world.session(&id)["restore"]["lost"], false);
    assert_eq!(world.json(&["restore", "--all"]), json!([]));
    assert_eq!(world.json(&["restore", &id])["id"], *id);
    assert!(worktree(&world, &id).join("README.md").exists());
}

#[test]
fn a_worktree_is_opened_with_the_editor_of_the_caller() {
    let world = World::started();
    let id = world.spawn("seen", "ao report active; exec sleep 600");
    let path = worktree(&world, &id);
    let editor = world.path("my editor");
    let seen = world.path("seen");
    fs::write(&editor, format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > {}\nexit 7\n", seen.display()))
        .unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let visual = format!("'{}' --wait", editor.display());
    let opened = world.command(&["open", &id]).env("VISUAL", &visual).output().unwrap();
    assert_eq!(opened.status.code(), Some(7), "it became the editor: {opened:?}");
    assert_eq!(fs::read_to_string(&seen).unwrap(), format!("--wait\n{}\n", path.display()));
    let json = world.command(&["open", &id, "--json"]).env("EDITOR", "vi").output().unwrap();
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json, json!({"session": id, "path": path, "argv": ["vi", path]}));
    // With nothing to open it with, the path is the answer.
    assert_eq!(world.ok(&["open", &id]), format!("{}\n", path.display()));
    let args = ["open", id.as_str(), "--json"];
    world.ok(&["kill", &id]);
    let gone = refusal(&args, &world.ao(&args));
    assert_eq!((gone.exit, gone.code.as_str()), (3, "WORKTREE_GONE"));
    assert!(!Path::new(&path).exists());
}

#[test]
fn what_a_dead_daemon_was_unlinking_is_gone_after_the_next_start_and_links_are_not_followed() {
    let world = World::new();
    let outside = world.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "theirs").unwrap();
    let entry = world.home().join("trash/hello-1.1");
    fs::create_dir_all(entry.join("going/deep")).unwrap();
    std::os::unix::fs::symlink(&outside, entry.join("going/deep/link")).unwrap();
    let young = world.home().join("trash/hello-2.1/files");
    fs::create_dir_all(&young).unwrap();
    fs::write(young.join(".env"), "SECRET=1").unwrap();
    world.start();
    super::world::wait_until("the entry is gone", || !entry.exists());
    assert_eq!(fs::read(outside.join("precious")).unwrap(), b"theirs");
    assert!(young.join(".env").exists(), "it has days to go");
}
