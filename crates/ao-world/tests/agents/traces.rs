//! What a supervised agent leaves behind is what it leaves behind without a supervisor.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::for_each_agent;
use crate::kit::Kit;
use crate::tools::{PATIENCE, git, program, wait_until, waited_for};
use crate::world::World;

for_each_agent!(
    worktree_and_repository_stay_clean_and_the_users_hooks_fire,
    the_home_gets_what_the_agent_itself_puts_there,
);

fn worktree_and_repository_stay_clean_and_the_users_hooks_fire(kit: Kit) {
    let world = World::new(kit, "the user's own hooks");
    let (settings, theirs) = kit.hook(&world.path("user"), &world.path("hook-fired"));
    let session = world.open();
    let workspace = session.show()["workspace_path"].as_str().unwrap().to_owned();
    for place in [Path::new(&workspace), &world.path("hello")] {
        assert_eq!(git(place, &["status", "--porcelain", "--ignored"]), "");
    }
    wait_until("the user's own hook fires", || world.path("hook-fired").exists());
    let now = fs::read_to_string(settings).unwrap();
    // Codex notes what it has told its user; nothing there may be about this session.
    let added = now.strip_prefix(&theirs);
    assert!(added.is_some_and(|it| !it.contains(&workspace) && !it.contains("hook")), "{now}");
    session.judge();
    world.was_submitted_once(&["mark-0"]);
}

fn the_home_gets_what_the_agent_itself_puts_there(kit: Kit) {
    let world = World::new(kit, "home of the user");
    kit.hook(&world.path("user"), &world.path("hook-fired"));
    let session = world.open();
    session.judge();
    world.was_submitted_once(&["mark-0"]);
    let left = names_below(&world.path("user"));

    let alone = World::new(kit, "agent without a supervisor");
    kit.hook(&alone.path("user"), &alone.path("hook-fired"));
    let socket = alone.path("tmux");
    let tmux = |args: &[&str]| {
        let mut command = program("tmux");
        command.arg("-S").arg(&socket).args(["-f", "/dev/null"]).args(args);
        // By this it is found and ended, should this test fail.
        command.env_clear().envs(alone.env()).env("AO_HOME", alone.path("ao"));
        command.current_dir(alone.path("hello"));
        command.output().unwrap()
    };
    let prompt = r#"mark-1 MOCK[{"text":"alone"}]"#;
    let words: Vec<_> = ["new-session", "-d"].into_iter().chain(kit.alone(prompt)).collect();
    assert!(tmux(&words).status.success());
    let added = || -> Vec<_> {
        let expected = names_below(&alone.path("user"));
        left.iter().filter(|name| !expected.contains(*name)).cloned().collect()
    };
    waited_for(PATIENCE, || added().is_empty());
    let added = added();
    tmux(&["kill-server"]);
    assert!(added.is_empty(), "only a supervised agent leaves {added:#?}");
}

/// The names of what is in a home, two levels deep, without the numbers that no two runs share.
fn names_below(home: &Path) -> BTreeSet<String> {
    let plain = |name: &str| name.split(|it: char| !it.is_ascii_alphabetic()).collect::<String>();
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            for inner in fs::read_dir(&path).unwrap() {
                let inner = inner.unwrap().file_name().into_string().unwrap();
                names.insert(format!("{name}/{}", plain(&inner)));
            }
        }
        names.insert(name);
    }
    names
}
