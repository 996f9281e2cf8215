//! The clock that was set back, and the machine that slept, as a daemon finds them when it starts.
//!
//! The clocks of the kernel belong to everybody on the machine, so what the daemon wrote down is
//! moved instead: a clock that is a day behind what is stored was set back by a day, and moments
//! that lie further back since boot, and not awake, are those before a sleep. Neither can be played
//! while the daemon runs: a time namespace has no wall clock of its own, and keeps its offsets for
//! as long as somebody is in it.

use std::fs;

use rusqlite::Connection;
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::world::{World, is_running};

/// What keeps moments: the table, the column, and what names a row.
const PLACES: [(&str, &str, &str); 7] = [
    ("sessions", "lifecycle", "id"),
    ("sessions", "ledger", "id"),
    ("deadlines", "doc", "session || kind"),
    ("messages", "created_at", "id"),
    ("messages", "updated_at", "id"),
    ("journal", "doc", "seq"),
    ("incidents", "doc", "id"),
];

const DAY_MS: i64 = 24 * 3600 * 1000;

/// Moves every moment in a document; returns how many there were.
fn moved(value: &mut Value, wall_ms: i64, since_boot_s: i64) -> usize {
    match value {
        Value::Object(fields) => {
            let is_moment =
                ["wall", "since_boot", "awake"].iter().all(|it| fields.contains_key(*it));
            if is_moment {
                add(&mut fields["wall"], wall_ms);
                // Seconds and nanoseconds.
                add(&mut fields["since_boot"][0], since_boot_s);
                return 1;
            }
            fields.values_mut().map(|it| moved(it, wall_ms, since_boot_s)).sum()
        }
        Value::Array(items) => items.iter_mut().map(|it| moved(it, wall_ms, since_boot_s)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn add(number: &mut Value, by: i64) {
    *number = Value::from(number.as_i64().unwrap() + by);
}

/// Moves all that a daemon which is not there wrote down.
fn move_all(world: &World, wall_ms: i64, since_boot_s: i64) {
    let db = Connection::open(world.home().join("ao.db")).unwrap();
    let mut n_moved = 0;
    for (table, column, key) in PLACES {
        let sql = format!("SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL");
        let mut rows = db.prepare(&sql).unwrap();
        let rows = rows.query_map([], |row| {
            Ok((row.get::<_, rusqlite::types::Value>(0)?, row.get::<_, String>(1)?))
        });
        for (name, text) in rows.unwrap().map(Result::unwrap).collect::<Vec<_>>() {
            let mut doc: Value = serde_json::from_str(&text).unwrap();
            n_moved += moved(&mut doc, wall_ms, since_boot_s);
            let sql = format!("UPDATE {table} SET {column} = ?1 WHERE {key} = ?2");
            assert_eq!(db.execute(&sql, (doc.to_string(), name)).unwrap(), 1, "{table}.{column}");
        }
    }
    assert!(n_moved > 5, "only {n_moved} moments were found");
}

/// A session that works, one that waits for a person, and their processes.
fn two(world: &World) -> [(String, rustix::process::Pid); 2] {
    let working = "ao report active; read -r line; ao report idle; exec sleep 600";
    let ids = [
        world.spawn("one", working),
        world.spawn("two", "ao report waiting_input; exec sleep 600"),
    ];
    world.wait_for(&ids[0], "working");
    world.wait_for(&ids[1], "needs_input");
    ids.map(|id| {
        let pid = world.pid(&id);
        (id, pid)
    })
}

/// Nothing became of them, and what happens from here on counts.
fn check_goes_on(
    world: &World,
    [(one, first), (two, second)]: &[(String, rustix::process::Pid); 2],
) {
    assert!(is_running(*first) && is_running(*second));
    assert_eq!(world.wait_for(one, "working")["handle"]["pid"], first.as_raw_nonzero().get());
    world.wait_for(two, "needs_input");
    assert_eq!(world.json(&["inbox"]).as_array().unwrap().len(), 1, "the question, and no alarm");
    world.ok(&["send", one, "go on", "--wait", "typed"]);
    world.wait_for(one, "idle");
    world.ok(&["explain", one]);
    kill_process(*second, Signal::KILL).unwrap();
    world.wait_for(two, "errored");
    world.json(&["ls", "--all"]);
}

#[test]
fn a_wall_clock_that_was_set_back_a_day_ends_nothing_and_holds_nothing_up() {
    let world = World::started();
    let sessions = two(&world);
    world.ok(&["stop"]);
    move_all(&world, DAY_MS, 0);
    world.ok(&["start"]);
    check_goes_on(&world, &sessions);
}

#[test]
fn a_machine_that_slept_ends_nothing_and_calls_nobody() {
    let world = World::started();
    let sessions = two(&world);
    world.ok(&["stop"]);
    // Nine hours, or half of the time that this machine was up.
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let up_s: i64 = uptime.split('.').next().unwrap().parse().unwrap();
    let slept_s = (9 * 3600).min(up_s / 2);
    move_all(&world, -slept_s * 1000, -slept_s);
    world.ok(&["start"]);
    check_goes_on(&world, &sessions);
}
