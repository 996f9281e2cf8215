//! The host reboots: every process is gone, and the kernel has another boot id.

use std::fs;

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::restore::{assert_dirty, assert_one_runs, hows, make_dirty, started, talk, workspace};
use super::world::{World, is_running, wait_until};
use crate::tools::{program, succeeded};

/// The boot id of a kernel that was started again.
const NEXT_BOOT: &str = "0d5b2d5a-93a0-4c3f-8a7b-0123456789ab";

/// Ends every process of a world at once, as a power cut does.
fn cut_power(world: &World) {
    let all = world.processes();
    for pid in &all {
        // One that ended with another is as good.
        kill_process(*pid, Signal::KILL).unwrap_or_default();
    }
    wait_until("nothing runs any more", || !all.iter().any(|pid| is_running(*pid)));
}

/// Starts the daemon under another boot id, in a mount namespace of its own.
fn boot(world: &World) {
    let boot_id = world.path("boot_id");
    fs::write(&boot_id, format!("{NEXT_BOOT}\n")).unwrap();
    let ao = world.command(&["start"]);
    // Who may not mount becomes root of a user namespace.
    let script = r#"mount --bind "$1" /proc/sys/kernel/random/boot_id && exec "$2" start"#;
    let is_allowed = program("unshare").args(["-m", "true"]).output().unwrap().status.success();
    let mut command = program("unshare");
    command.arg(if is_allowed { "-m" } else { "-rm" }).args(["sh", "-c", script, "sh"]);
    command.arg(&boot_id).arg(ao.get_program()).env_clear();
    command.envs(ao.get_envs().filter_map(|(name, value)| Some((name, value?))));
    succeeded(&["start"], &command.output().unwrap());
}

#[test]
fn a_reboot_is_one_incident_and_one_command_brings_all_back() {
    let world = started();
    let ids = ["one", "two", "three"].map(|name| talk(&world, name));
    let killed = talk(&world, "killed");
    world.ok(&["kill", &killed]);
    for id in &ids {
        make_dirty(&workspace(&world, id));
    }
    let before = world.session(&ids[0])["handle"]["boot_id"].clone();
    cut_power(&world);
    boot(&world);

    for id in &ids {
        let session = world.wait_for(id, "terminated");
        let reason = &session["lifecycle"]["session"]["reason"];
        assert_eq!(reason, "host_rebooted", "{session:#}");
        assert_eq!(session["restore"]["lost"], true, "{session:#}");
        assert_dirty(&workspace(&world, id));
    }
    assert_eq!(world.session(&killed)["status"], "killed");
    let told = || world.json(&["inbox"]).as_array().cloned().unwrap_or_default();
    wait_until("a person is told", || !told().is_empty());

    let restored = world.json(&["restore", "--all"]);
    let lost = |id: &str| -> Value {
        let all = restored.as_array().unwrap();
        all.iter().find(|it| it["id"] == id).map_or(Value::Null, |it| it["lost"].clone())
    };
    for id in &ids {
        let lost = lost(id).to_string();
        assert!(lost.contains("a turn was running and is interrupted"), "{restored:#}");
        let session = world.wait_for(id, "working");
        assert_eq!(session["handle"]["boot_id"], NEXT_BOOT, "it was {before}");
        assert_eq!(hows(&world, id), ["launched", "resumed"]);
        assert_one_runs(&world, id);
        assert_dirty(&workspace(&world, id));
    }
    assert_eq!(told().len(), 1, "{:#?}", told());

    // The daemon of the same boot takes up what lives.
    world.crash();
    boot(&world);
    for id in &ids {
        world.wait_for(id, "working");
        assert_one_runs(&world, id);
    }
}
