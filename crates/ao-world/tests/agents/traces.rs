//! What a supervised agent leaves behind is what it leaves behind without a supervisor.

use std::fs;

use crate::for_each_agent;
use crate::kit::Kit;
use crate::tools::git;
use crate::world::World;

for_each_agent!(the_worktree_stays_clean);

fn the_worktree_stays_clean(kit: Kit) {
    let world = World::new(kit, "clean worktree");
    let session = world.open();
    let workspace = session.show()["workspace_path"].as_str().unwrap().to_owned();
    let status = git(workspace.as_ref(), &["status", "--porcelain", "--ignored"]);
    assert_eq!(status, "");
    let status = git(&world.path("hello"), &["status", "--porcelain", "--ignored"]);
    assert_eq!(status, "");
    assert!(fs::read_dir(world.path("hello").join(".git/hooks")).is_ok());
    session.judge();
}
