//! The whole way: spawn, observe, react, kill.

use std::fs;

use super::world::{World, git, is_running};

#[test]
fn a_session_that_commits_and_says_so_is_done_when_its_process_has_ended() {
    let world = World::started();
    let id = world.spawn(
        "writer",
        "ao report active; echo hi > new.txt; git add new.txt; git commit -qm 'add new'; ao report done",
    );
    let session = world.wait_for(&id, "done");
    assert_eq!(session["lifecycle"]["session"]["reason"], "completed");
    assert_eq!(session["exit"]["status"], 0);
    let branch = session["branch"].as_str().unwrap();
    assert_eq!(git(&world.repo(), &["show", &format!("{branch}:new.txt")]), "hi\n");
}

#[test]
fn a_question_reaches_the_inbox_and_its_answer_the_agent() {
    let world = World::started();
    let id = world.spawn(
        "asker",
        "ao report waiting_input --message 'which colour?'; read -r colour; ao report active; \
         echo \"$colour\" > \"$1/colour\"; ao report idle; read -r rest",
    );
    world.wait_for(&id, "needs_input");
    let inbox = world.json(&["inbox"]);
    let item = inbox.as_array().unwrap().iter().find(|it| it["session"] == id.as_str()).unwrap();
    assert_eq!(item["reaction"], "agent-needs-input");
    assert_eq!(item["priority"], "urgent");

    let receipt = world.json(&["send", &id, "green", "--wait", "typed"]);
    assert_eq!(receipt["state"], "typed");
    world.wait_for(&id, "idle");
    assert_eq!(fs::read_to_string(world.path("colour")).unwrap(), "green\n");
}

#[test]
fn every_session_has_a_worktree_a_branch_and_a_process_of_its_own() {
    let world = World::started();
    let ids = ["one", "two", "three"].map(|name| world.spawn(name, "exec sleep 600"));
    let sessions = ids.each_ref().map(|id| world.session(id));
    for (session, other) in [(0, 1), (0, 2), (1, 2)] {
        for key in ["id", "branch", "workspace_path", "launch_id"] {
            assert_ne!(sessions[session][key], sessions[other][key], "{key}");
        }
        assert_ne!(sessions[session]["handle"]["pid"], sessions[other]["handle"]["pid"]);
    }
    assert_eq!(world.worktrees().len(), 4);
    for id in &ids {
        let session = world.session(id);
        assert!(is_running(world.pid(id)));
        assert!(fs::exists(session["workspace_path"].as_str().unwrap()).unwrap());
    }
}

#[test]
fn an_agent_that_cannot_be_executed_leaves_nothing_but_an_explained_record() {
    let world = World::started();
    let program = world.path("not-a-program");
    fs::write(&program, "#!/no/such/interpreter\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, mode).unwrap();
    let refusal = world.refused(&["spawn", "--project", "hello", "--", program.to_str().unwrap()]);
    assert_eq!(refusal.exit, 1, "{refusal:?}");
    assert_eq!(world.worktrees().len(), 1);
    for session in world.json(&["ls", "--all"]).as_array().unwrap() {
        assert_eq!(session["lifecycle"]["session"]["reason"], "spawn_failed");
        assert_eq!(session["status"], "errored");
    }
}

#[test]
fn the_account_of_a_death_names_its_rule_and_its_facts() {
    let world = World::started();
    let id = world.spawn("short", "exit 3");
    let session = world.wait_for(&id, "errored");
    assert_eq!(session["exit"]["status"], 3);
    let account = world.json(&["explain", &id]);
    assert_eq!(account["status"], "errored");
    assert_eq!(account["rule"], "pane_dead");
    let facts = account["facts"].as_array().unwrap();
    assert!(facts.iter().all(|fact| fact["source"].is_string()), "{account:#}");
    assert!(facts.len() >= 2, "{account:#}");
}
