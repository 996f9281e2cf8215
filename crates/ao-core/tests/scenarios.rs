//! Facts over time in, states and effects out: one text file per guarantee.
//!
//! A line that starts in the first column is said to the rules, the indented lines below it are what
//! they answer. `UPDATE=1` writes the answers anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::script::Script;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Plays one file; answers what the file should be.
fn play(text: &str) -> String {
    let mut script = Script::new();
    let mut played = String::new();
    for line in text.lines().filter(|line| !line.starts_with(' ')) {
        writeln!(played, "{line}").unwrap();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        for answer in script.say(line) {
            writeln!(played, "    {answer}").unwrap();
        }
    }
    played
}

fn check(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.starts_with("# "), "{}: the guarantee stands on top", path.display());
    let played = play(&text);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, played).unwrap();
    } else {
        assert_eq!(text, played, "{}", path.display());
    }
}

macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {
        $(
            #[test]
            fn $name() {
                check(&directory().join(concat!(stringify!($name), ".txt")));
            }
        )+

        #[test]
        fn no_scenario_is_forgotten() {
            let mut written = vec![$(concat!(stringify!($name), ".txt").to_owned()),+];
            written.sort();
            let mut there = std::fs::read_dir(directory())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect::<Vec<_>>();
            there.sort();
            assert_eq!(there, written);
        }
    };
}

scenarios![
    a_base_that_moves,
    a_daemon_away_for_an_hour,
    a_denied_dialog_and_a_lost_hook,
    a_dialog_is_answered,
    a_draft_that_is_toggled,
    a_head_that_was_not_fetched_whole,
    a_hiccup_ends_nothing,
    a_kill_reacts_to_nothing,
    a_late_hook_of_an_old_launch,
    a_late_hook_that_says_more,
    a_permission_is_granted,
    a_process_is_killed,
    a_refusal_for_billing,
    a_request_for_a_human_escalates_once,
    a_rerun_under_a_new_url,
    a_send_that_fails,
    a_server_dies_under_several,
    a_session_that_claims_to_be_done,
    a_stop_hook_is_lost,
    a_verdict_after_the_end,
    an_agent_seen_before_it_takes_its_prompt,
    an_agent_started_without_a_task,
    an_agent_without_signals,
    an_idle_agent_and_its_work,
    an_idle_agent_is_told_to_go_on,
    checks_that_flap,
    checks_that_oscillate,
    esc_fires_no_hook,
    many_deaths_without_a_cause,
    no_checks_at_all,
    one_of_two_merges,
    one_outage_over_forty,
    pending_is_not_passing,
    reviews_and_conflicts,
    signals_that_were_lost,
    silence_and_a_usage_limit,
    sixteen_bad_pushes,
    the_clock_jumps_back,
    the_laptop_sleeps,
    the_machine_reboots,
    what_is_known_is_explained,
];
