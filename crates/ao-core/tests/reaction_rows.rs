//! The reaction table, row by row, from facts alone: when a reaction begins, what is told and how
//! often, what ends it, when it escalates, and that a kill ends it without a word.

use std::collections::BTreeSet;

use ao_core::ledger::ReactionKind;
use ao_core::policy::{ReactionAction, ReactionPolicy};

use crate::script::Script;

/// One row of the table, as lines of a scenario about `app-1`.
struct Row {
    reaction: ReactionKind,
    /// From a turn that runs to the first thing that is told.
    begins: &'static [&'static str],
    /// A new cause in the open incident, where there can be one, in two versions.
    news: Option<[&'static str; 2]>,
    /// What does not end it, though it looks as if it might.
    stays: &'static [&'static str],
    /// What ends it.
    ends: &'static str,
}

const ROWS: &[Row] = &[
    Row {
        reaction: ReactionKind::CiFailed,
        begins: &["pr app-1 #7 head=a1 checks=lint@a1"],
        news: Some(["pr app-1 #7 head=a2 checks=lint@a2", "pr app-1 #7 head=a3 checks=lint@a3"]),
        stays: &[
            "pr app-1 #7 head=a1 checks=lint@a1 url=another",
            "pr app-1 #7 head=a1 checks=pending",
            "pr app-1 #7 head=a1 checks=refused",
            "pr app-1 #7 head=a1 review=approved",
            "pr app-1 #7 head=a9",
            "pr app-1 #7 head=a9 checks=none",
        ],
        ends: "pr app-1 #7 head=a9 checks=passed",
    },
    Row {
        reaction: ReactionKind::ChangesRequested,
        begins: &["pr app-1 #7 head=a1 review=human:t1"],
        news: Some(["pr app-1 #7 head=a1 review=human:t2", "pr app-1 #7 head=a1 review=human:t3"]),
        stays: &["pr app-1 #7 head=a2", "pr app-1 #7 head=a2 draft=draft"],
        ends: "pr app-1 #7 head=a2 review=approved",
    },
    Row {
        reaction: ReactionKind::BugbotComments,
        begins: &["pr app-1 #7 head=a1 review=bot:b1"],
        news: Some(["pr app-1 #7 head=a1 review=bot:b2", "pr app-1 #7 head=a1 review=bot:b3"]),
        stays: &["pr app-1 #7 head=a2"],
        ends: "pr app-1 #7 head=a2 review=pending",
    },
    Row {
        reaction: ReactionKind::MergeConflicts,
        begins: &["pr app-1 #7 head=a1 merge=conflicting"],
        news: Some([
            "pr app-1 #7 head=a2 merge=conflicting",
            "pr app-1 #7 head=a3 merge=conflicting",
        ]),
        stays: &["pr app-1 #7 head=a1", "pr app-1 #7 head=a2"],
        ends: "pr app-1 #7 head=a9 merge=conflicting_with_parent",
    },
    Row {
        reaction: ReactionKind::AgentIdle,
        begins: &["signal app-1 idle", "away 900s", "tick"],
        news: None,
        stays: &["look app-1 unreachable unknown alive", "look app-1 living alive alive"],
        ends: "signal app-1 active submit",
    },
    Row {
        reaction: ReactionKind::TurnFinished,
        begins: &["signal app-1 idle", "away 10s", "tick"],
        news: None,
        stays: &["look app-1 unreachable unknown alive", "look app-1 living alive alive"],
        ends: "signal app-1 active submit",
    },
    Row {
        reaction: ReactionKind::SessionDone,
        begins: &["signal app-1 idle done", "away 1s", "look app-1 living missing dead"],
        news: None,
        stays: &["look app-1 living missing dead", "pr app-1 #7 head=a1 checks=passed"],
        ends: "restore app-1",
    },
    Row {
        reaction: ReactionKind::ApprovedAndGreen,
        begins: &["pr app-1 #7 head=a1 checks=passed review=approved merge=clean"],
        news: Some([
            "pr app-1 #7 head=a2 checks=passed review=approved merge=clean",
            "pr app-1 #7 head=a3 checks=passed review=not_required merge=clean",
        ]),
        stays: &["pr app-1 #7 head=a1 checks=pending"],
        ends: "pr app-1 #7 head=a1 draft=draft",
    },
    Row {
        reaction: ReactionKind::AgentStuck,
        begins: &[
            "look app-1 unreachable unknown alive",
            "away 5s",
            "look app-1 unreachable unknown alive",
            "away 5s",
            "look app-1 unreachable unknown alive",
        ],
        news: None,
        stays: &["look app-1 unreachable unknown alive", "signal app-1 active"],
        ends: "look app-1 living alive alive",
    },
    Row {
        reaction: ReactionKind::AgentNeedsInput,
        begins: &["signal app-1 waiting_input"],
        news: Some(["signal app-1 blocked permission", "signal app-1 blocked auth_failed"]),
        stays: &["signal app-1 idle", "look app-1 unreachable unknown alive"],
        ends: "signal app-1 active submit",
    },
    Row {
        reaction: ReactionKind::AgentExited,
        begins: &["look app-1 living missing dead"],
        news: None,
        stays: &["look app-1 living missing dead", "signal app-1 active"],
        ends: "restore app-1",
    },
    Row {
        reaction: ReactionKind::PrClosed,
        begins: &["pr app-1 #7 head=a1 life=closed"],
        news: None,
        stays: &["pr app-1 #7 head=a1 life=closed checks=passed"],
        ends: "pr app-1 #7 head=a1 life=open",
    },
    Row {
        reaction: ReactionKind::AllComplete,
        begins: &["pr app-1 #7 head=a1 life=merged"],
        news: None,
        stays: &["pr app-1 #7 head=a1 life=merged"],
        ends: "pr app-1 #8 head=b1",
    },
];

/// What the answers to some lines tell of a reaction.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    messages: usize,
    notifications: usize,
    escalations: usize,
}

impl Told {
    fn of(answers: &[String], reaction: ReactionKind) -> Self {
        let message = format!("message of {reaction}");
        let effect = format!("effect app-1/{reaction}/");
        let effects = answers.iter().filter(|it| it.starts_with(&effect));
        let (escalations, notifications): (Vec<_>, Vec<_>) =
            effects.partition(|it| it.contains("/escalated@"));
        Self {
            messages: answers.iter().filter(|it| it.starts_with(&message)).count(),
            notifications: notifications.len(),
            escalations: escalations.len(),
        }
    }

    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

struct Played {
    script: Script,
    reaction: ReactionKind,
}

impl Played {
    /// A session whose turn runs, under a changed line of the policy.
    fn new(row: &Row, policy: &str) -> Self {
        let mut played = Self { script: Script::new(), reaction: row.reaction };
        played.say_all(&["policy agent-idle enabled=true"]);
        if row.reaction != ReactionKind::AgentIdle {
            played.say_all(&["policy agent-idle enabled=false"]);
        }
        if !policy.is_empty() {
            played.say_all(&[&format!("policy {} {policy}", row.reaction)]);
        }
        played.say_all(&[
            "seed app-1",
            "launched app-1 full",
            "away 1s",
            "signal app-1 active submit",
        ]);
        played.say_all(&["away 1s"]);
        played
    }

    fn say_all(&mut self, lines: &[&str]) -> Told {
        let answers: Vec<_> = lines.iter().flat_map(|line| self.script.say(line)).collect();
        Told::of(&answers, self.reaction)
    }

    /// Attempts, and whether a human was called; none when no incident is open.
    fn open(&self) -> Option<(u32, bool)> {
        self.script.incident("app-1", self.reaction)
    }
}

/// What one attempt of a reaction tells.
fn one_attempt(row: &Row) -> Told {
    match ReactionPolicy::default_of(row.reaction).action {
        ReactionAction::Message => Told { messages: 1, ..Told::default() },
        ReactionAction::Notify => Told { notifications: 1, ..Told::default() },
    }
}

const ESCALATED: Told = Told { messages: 0, notifications: 0, escalations: 1 };

#[test]
fn every_reaction_has_a_row_but_the_one_that_is_about_many_sessions() {
    let rows: BTreeSet<_> = ROWS.iter().map(|row| row.reaction).collect();
    let all: BTreeSet<_> = ReactionKind::ALL.iter().copied().collect();
    let others: Vec<_> = all.difference(&rows).collect();
    assert_eq!(others, [&ReactionKind::Infrastructure]);
    assert_eq!(rows.len(), ROWS.len());
}

#[test]
fn each_begins_once_stays_and_ends() {
    for row in ROWS {
        let name = row.reaction;
        let mut played = Played::new(row, "");
        assert_eq!(played.open(), None, "{name} is open before it begins");
        assert_eq!(played.say_all(row.begins), one_attempt(row), "{name} begins");
        assert_eq!(played.open(), Some((1, false)), "{name}");
        for line in row.stays {
            let told = played.say_all(&["away 1s", line]);
            assert!(told.is_nothing(), "{name} is told again by `{line}`: {told:?}");
            assert_eq!(played.open(), Some((1, false)), "{name} is changed by `{line}`");
        }
        played.say_all(&["away 1s"]);
        let answers = played.script.say(row.ends);
        assert_eq!(played.open(), None, "{name} does not end with `{}`", row.ends);
        let is_superseded = answers.iter().any(|it| it.starts_with("supersedes the messages of"));
        assert_eq!(is_superseded, one_attempt(row).messages > 0, "{name}: {answers:#?}");
    }
}

#[test]
fn each_is_told_again_when_it_begins_again() {
    let ended = [ReactionKind::SessionDone, ReactionKind::AgentExited];
    for row in ROWS.iter().filter(|row| !ended.contains(&row.reaction)) {
        let mut played = Played::new(row, "");
        played.say_all(row.begins);
        played.say_all(&["away 1s", row.ends, "away 1s"]);
        // What the first pull request said is over; the second is another one's word.
        if row.reaction == ReactionKind::AllComplete {
            played.say_all(&["pr app-1 #8 head=b1 life=merged"]);
            assert_eq!(played.open(), Some((1, false)));
            continue;
        }
        assert_eq!(played.say_all(row.begins), one_attempt(row), "{}", row.reaction);
    }
}

#[test]
fn each_escalates_once_at_its_deadline_and_not_a_millisecond_before() {
    for row in ROWS {
        let name = row.reaction;
        let mut played = Played::new(row, "escalate_after=600s");
        played.say_all(row.begins);
        // A laptop that sleeps escalates nothing.
        let told = played.say_all(&["sleep 9h", "tick", "away 599.999s", "tick"]);
        assert!(told.is_nothing(), "{name} before its deadline: {told:?}");
        assert_eq!(played.say_all(&["away 0.001s", "tick"]), ESCALATED, "{name}");
        assert_eq!(played.open(), Some((1, true)), "{name}");
        let told = played.say_all(&["away 9h", "tick"]);
        assert!(told.is_nothing(), "{name} goes on after it called a human: {told:?}");
        if let Some(news) = row.news {
            let told = played.say_all(&news);
            assert!(told.is_nothing(), "{name} is not silent: {told:?}");
        }
    }
}

#[test]
fn each_that_ends_in_time_calls_nobody() {
    for row in ROWS {
        let mut played = Played::new(row, "escalate_after=600s");
        played.say_all(row.begins);
        played.say_all(&["away 599s", row.ends]);
        let told = played.say_all(&["away 9h", "tick"]);
        assert_eq!(told.escalations, 0, "{}", row.reaction);
    }
}

#[test]
fn the_attempt_after_the_last_one_is_not_made_but_calls_a_human() {
    for row in ROWS {
        let name = row.reaction;
        let Some([first, second]) = row.news else { continue };
        let mut played = Played::new(row, "retries=2");
        assert_eq!(played.say_all(row.begins), one_attempt(row), "{name}");
        assert_eq!(played.say_all(&["away 1s", first]), one_attempt(row), "{name}");
        assert_eq!(played.say_all(&["away 1s", second]), ESCALATED, "{name}");
        assert_eq!(played.open(), Some((2, true)), "{name}");
        let mut played = Played::new(row, "retries=0");
        assert_eq!(played.say_all(row.begins), ESCALATED, "{name} without attempts");
    }
}

#[test]
fn an_idle_agent_is_told_as_often_as_it_may_be() {
    let row = ROWS.iter().find(|row| row.reaction == ReactionKind::AgentIdle).unwrap();
    let mut played = Played::new(row, "retries=2 escalate_after=9h");
    assert_eq!(played.say_all(row.begins), one_attempt(row));
    assert_eq!(played.say_all(&["away 899.999s", "tick"]), Told::default());
    assert_eq!(played.say_all(&["away 0.001s", "tick"]), one_attempt(row));
    assert_eq!(played.say_all(&["away 900s", "tick"]), ESCALATED);
    assert_eq!(played.say_all(&["away 900s", "tick"]), Told::default());
}

#[test]
fn a_kill_ends_each_without_a_word_and_nothing_after_it_is_told() {
    for row in ROWS {
        let name = row.reaction;
        let mut played = Played::new(row, "escalate_after=600s");
        played.say_all(row.begins);
        let answers = played.script.say("kill app-1");
        let is_told =
            answers.iter().any(|it| it.starts_with("effect ") || it.starts_with("message of"));
        assert!(!is_told, "{name}: {answers:#?}");
        assert_eq!(played.open(), None, "{name}");
        let mut told = played.say_all(&["away 9h", "tick"]);
        assert!(told.is_nothing(), "{name} after the kill: {told:?}");
        for line in row.begins.iter().chain(row.news.iter().flatten()) {
            told = played.say_all(&[line]);
            assert!(told.is_nothing(), "{name} reacts after the kill to `{line}`: {told:?}");
        }
    }
}

#[test]
fn one_that_is_switched_off_tells_nothing_and_opens_nothing() {
    for row in ROWS {
        let mut played = Played::new(row, "enabled=false");
        let told = played.say_all(row.begins);
        assert!(told.is_nothing(), "{}: {told:?}", row.reaction);
        assert_eq!(played.open(), None, "{}", row.reaction);
    }
}

#[test]
fn own_words_take_the_place_of_the_built_in_ones() {
    for row in ROWS {
        let mut played = Played::new(row, "message=own-words");
        let answers: Vec<_> = row.begins.iter().flat_map(|line| played.script.say(line)).collect();
        let is_own = answers.iter().any(|it| it.contains("own-words"));
        assert!(is_own, "{}: {answers:#?}", row.reaction);
    }
}

#[test]
fn an_outage_is_told_once_and_no_session_of_it_apart() {
    let mut script = Script::new();
    for line in
        ["seed app-1", "seed app-2", "launched app-1 full", "launched app-2 full", "away 1s"]
    {
        script.say(line);
    }
    let answers = script.say("pass gone missing dead");
    let effects: Vec<_> = answers.iter().filter(|it| it.starts_with("effect ")).collect();
    assert_eq!(effects.len(), 1, "{answers:#?}");
    assert!(effects[0].starts_with("effect infrastructure/server_gone"), "{effects:?}");
    assert!(effects[0].ends_with("@inbox always"), "{effects:?}");
    for id in ["app-1", "app-2"] {
        assert_eq!(script.incident(id, ReactionKind::AgentExited), None);
    }
}
