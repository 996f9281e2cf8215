//! `docs/lifecycle.md`: every rule as a table, asked of the deciders themselves.
//!
//! `UPDATE=1` writes the page; without it the page has to be what they answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use ao_core::deadline::DeadlineKind;
use ao_core::decide::ladder;
use ao_core::decide::probe::{Finding, decide};
use ao_core::decide::settle::settle;
use ao_core::fact::{Fact, FactKind, Outcome, SignalDetail};
use ao_core::ids::{BranchName, CauseKey, PrNumber};
use ao_core::inbox::Priority;
use ao_core::ledger::ReactionKind;
use ao_core::message::{MessageReason, MessageState};
use ao_core::policy::{Policy, ReactionAction, ReactionPolicy};
use ao_core::pr::{Checks, Draftness, Known, Mergeability, Pr, PrLife, Review};
use ao_core::record::{
    Activity, ActivitySource, ActivityState, DoneClaim, EndIntent, Lifecycle, SessionReason,
    SessionState, SessionVerdict,
};
use ao_core::reduce::reduce;
use ao_core::session::Session;
use ao_core::status::{Status, status_of};

use crate::fixtures::{after, at_s, launched, policy, seeded};
use crate::rule_table::every_question;

/// The first lines of documentation in a source, by enum and spelling.
fn documented(source: &str, name: &str) -> BTreeMap<String, String> {
    let start = format!("pub enum {name} {{");
    let (_, body) = source.split_once(&start).unwrap();
    let (body, _) = body.split_once("\n    }").unwrap();
    let mut docs = BTreeMap::new();
    let mut doc = Vec::new();
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            doc.push(text);
        } else if let Some((_, spelling)) = line.split_once(" = ") {
            let spelling = spelling.trim_end_matches(',').trim_matches('"');
            docs.insert(spelling.to_owned(), doc.join(" "));
            doc.clear();
        }
    }
    docs
}

/// A table of every value of an enum with its documentation.
fn glossary(title: &str, all: &[impl Display], docs: &BTreeMap<String, String>) -> String {
    let rows = all.iter().map(|it| vec![code(it), docs[&it.to_string()].clone()]);
    table(&[title, "means"], rows)
}

fn code(text: impl Display) -> String {
    format!("`{text}`")
}

fn table<T: AsRef<str>>(titles: &[T], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let titles: Vec<_> = titles.iter().map(|title| title.as_ref().to_owned()).collect();
    let mut text = line(&titles);
    text.push_str(&["|", &"---|".repeat(titles.len()), "\n"].concat());
    for row in rows {
        text.push_str(&line(&row));
    }
    text
}

/// A table of answers in which rows, and then columns, that say the same are one.
fn merged(row_title: &str, columns: &[String], rows: Vec<(String, Vec<String>)>) -> String {
    let mut grouped: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for (name, answers) in rows {
        match grouped.iter_mut().find(|(_, known)| *known == answers) {
            Some((names, _)) => names.push(name),
            None => grouped.push((vec![name], answers)),
        }
    }
    let mut kept: Vec<(Vec<String>, usize)> = Vec::new();
    for (n, column) in columns.iter().enumerate() {
        let is_same = |other: usize| grouped.iter().all(|(_, it)| it[other] == it[n]);
        match kept.iter_mut().find(|(_, first)| is_same(*first)) {
            Some((names, _)) => names.push(column.clone()),
            None => kept.push((vec![column.clone()], n)),
        }
    }
    let mut titles = vec![row_title.to_owned()];
    titles.extend(kept.iter().map(|(names, _)| names.join(", ")));
    let rows = grouped.iter().map(|(names, answers)| {
        let mut row = vec![names.join(", ")];
        row.extend(kept.iter().map(|(_, n)| answers[*n].clone()));
        row
    });
    table(&titles, rows)
}

fn known<T>(value: T) -> Known<T> {
    Known::Known { value, at: at_s(1) }
}

/// A pull request of which nothing stands out, changed like this.
fn pr(change: impl FnOnce(&mut Pr)) -> Pr {
    let mut pr = Pr {
        number: PrNumber(1),
        url: String::new(),
        base: BranchName::new("main"),
        head: Known::Unknown,
        life: known(PrLife::Open),
        draft: known(Draftness::Ready),
        checks: Known::Unknown,
        review: Known::Unknown,
        mergeability: Known::Unknown,
    };
    change(&mut pr);
    pr
}

/// Every place where a pull request can stand.
fn situations() -> Vec<Option<Pr>> {
    let causes = || BTreeSet::from([CauseKey::new("one")]);
    let all = vec![
        pr(|_| {}),
        pr(|pr| pr.draft = known(Draftness::Draft)),
        pr(|pr| pr.checks = known(Checks::Failed { causes: causes() })),
        pr(|pr| {
            pr.review = known(Review::ChangesRequested { human: causes(), bot: causes() });
        }),
        pr(|pr| pr.mergeability = known(Mergeability::Conflicting)),
        pr(|pr| pr.review = known(Review::Pending)),
        pr(|pr| pr.review = known(Review::Approved)),
        pr(|pr| {
            pr.checks = known(Checks::Passed);
            pr.mergeability = known(Mergeability::Clean);
        }),
        pr(|pr| pr.life = known(PrLife::Merged)),
        pr(|pr| pr.life = known(PrLife::Closed)),
    ];
    std::iter::once(None).chain(all.into_iter().map(Some)).collect()
}

fn with_pr(lifecycle: &Lifecycle, pr: Option<&Pr>) -> Lifecycle {
    let mut lifecycle = lifecycle.clone();
    lifecycle.prs = pr.iter().map(|pr| (pr.number, (*pr).clone())).collect();
    lifecycle.pr = ladder::worst(&lifecycle.prs);
    lifecycle
}

fn pr_column(pr: Option<&Pr>) -> String {
    let verdict = with_pr(&launched(1, "full").lifecycle, pr).pr;
    code(format!("{}/{}", verdict.state, verdict.reason))
}

fn verdict(verdict: SessionVerdict) -> String {
    code(format!("{}/{}", verdict.state, verdict.reason))
}

/// The record of an agent that was last seen doing this.
fn seen(state: ActivityState, detail: Option<SignalDetail>) -> Lifecycle {
    let mut lifecycle = launched(1, "full").lifecycle;
    lifecycle.activity =
        Some(Activity { state, at: at_s(1), source: ActivitySource::Hook, detail });
    lifecycle
}

fn every_detail() -> Vec<Option<SignalDetail>> {
    std::iter::once(None).chain(SignalDetail::ALL.iter().copied().map(Some)).collect()
}

/// What one fact makes of a session.
fn led_to(session: &Session, seconds: u64, kind: FactKind) -> Session {
    let fact = Fact { at: at_s(seconds), kind };
    after(session, &reduce(session, &fact, &policy(), &fact.at))
}

/// Every verdict of the session axis, with who gives it.
fn verdicts() -> BTreeMap<(SessionState, SessionReason), BTreeSet<&'static str>> {
    let mut found: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let mut note = |verdict: SessionVerdict, who| {
        found.entry((verdict.state, verdict.reason)).or_default().insert(who);
    };
    for reason in [SessionReason::SpawnRequested, SessionReason::QueuedForCapacity] {
        note(Lifecycle::seeded(reason, at_s(0)).session, "a spawn");
    }
    let outcomes = [
        Outcome::SpawnFailed,
        Outcome::EndRequested(EndIntent::Kill),
        Outcome::EndRequested(EndIntent::Cleanup),
        Outcome::EndRequested(EndIntent::Merged),
    ];
    for outcome in outcomes {
        let ended = led_to(&seeded(1), 1, FactKind::Outcome(outcome));
        note(ended.lifecycle.session, "the session manager");
        let restored = led_to(&ended, 2, FactKind::Outcome(Outcome::RestoreRequested));
        note(restored.lifecycle.session, "a restore");
        let found = launched(2, "full").lifecycle.launch.unwrap();
        let adopted = led_to(&ended, 2, FactKind::Outcome(Outcome::Adopted(found)));
        note(adopted.lifecycle.session, "an adoption");
        let waiting = led_to(&ended, 2, FactKind::Outcome(Outcome::RestoreQueued));
        note(waiting.lifecycle.session, "a restore");
        for (outcome, who) in
            [(Outcome::SpawnAdmitted, "a spawn"), (Outcome::RestoreAdmitted, "a restore")]
        {
            let admitted = led_to(&waiting, 3, FactKind::Outcome(outcome));
            note(admitted.lifecycle.session, who);
        }
    }
    for agent in ["full", "none"] {
        note(settle(&launched(1, agent).lifecycle), "settling");
    }
    let silent = led_to(&launched(1, "full"), 3_600, FactKind::Due(DeadlineKind::NoSignal));
    note(silent.lifecycle.session, "a deadline");
    for &state in ActivityState::ALL {
        for detail in every_detail() {
            for pr in &situations() {
                let mut lifecycle = with_pr(&seen(state, detail), pr.as_ref());
                note(settle(&lifecycle), "settling");
                lifecycle.claim = Some(DoneClaim { at: at_s(1) });
                note(settle(&lifecycle), "settling");
            }
        }
    }
    for question in every_question() {
        match decide(question).finding {
            Finding::Ended(verdict) => note(verdict, "a look"),
            Finding::Doubt(reason) => {
                note(SessionVerdict { state: SessionState::Detecting, reason }, "a look");
                note(SessionVerdict { state: SessionState::Stuck, reason }, "quarantine");
            }
            Finding::NotAddressed | Finding::Healthy => {}
        }
    }
    found
}

fn states_table() -> String {
    let docs = documented(include_str!("../src/record.rs"), "SessionReason");
    let rows = verdicts().into_iter().map(|((state, reason), who)| {
        let who = who.into_iter().collect::<Vec<_>>().join(", ");
        vec![code(state), code(reason), docs[reason.as_str()].clone(), who]
    });
    table(&["state", "reason", "means", "decided by"], rows)
}

/// Reasons that nothing decides, and why.
const UNDECIDED: &[(SessionReason, &str)] = &[
    (
        SessionReason::ResearchComplete,
        "a session ends by what looks at its process and terminal show, and those say nothing about \
         its worktree: one that ended with findings and no change is `done/completed`",
    ),
    (
        SessionReason::ErrorInProcess,
        "an exit status or a signal does not tell an agent's own failure from any other end: it is \
         `agent_process_exited`, and the exit is shown with it",
    ),
];

fn unused_reasons() -> String {
    let why = UNDECIDED.iter().map(|(reason, why)| format!("\n- `{reason}`: {why}."));
    ["Known, and decided by nothing:\n".to_owned()].into_iter().chain(why).collect()
}

fn status_table() -> String {
    let situations = situations();
    let columns: Vec<_> = situations.iter().map(|pr| pr_column(pr.as_ref())).collect();
    let mut rows = Vec::new();
    for (state, reason) in verdicts().into_keys() {
        for is_paused in [false, true] {
            if is_paused && reason != SessionReason::UsageLimited {
                continue;
            }
            let mut lifecycle = launched(1, "full").lifecycle;
            lifecycle.session = SessionVerdict { state, reason };
            lifecycle.paused_until = is_paused.then(|| at_s(60).wall);
            let shown = situations.iter().map(|pr| {
                let status: Status = status_of(&with_pr(&lifecycle, pr.as_ref()));
                code(status)
            });
            let paused = if is_paused { " with a known end" } else { "" };
            rows.push((format!("`{state}/{reason}`{paused}"), shown.collect()));
        }
    }
    merged("session", &columns, rows)
}

fn settle_table() -> String {
    let situations = situations();
    let mut columns: Vec<_> = situations.iter().map(|pr| pr_column(pr.as_ref())).collect();
    columns.push("claimed done".to_owned());
    let mut text = String::new();
    for &state in ActivityState::ALL {
        let rows = every_detail().into_iter().map(|detail| {
            let lifecycle = seen(state, detail);
            let mut answers: Vec<_> = situations
                .iter()
                .map(|pr| verdict(settle(&with_pr(&lifecycle, pr.as_ref()))))
                .collect();
            let claimed = Lifecycle { claim: Some(DoneClaim { at: at_s(1) }), ..lifecycle };
            answers.push(verdict(settle(&claimed)));
            (detail.map_or_else(|| "no detail".to_owned(), code), answers)
        });
        let rows = merged("detail", &columns, rows.collect());
        text.push_str(&["\n### `", state.as_str(), "`\n\n", &rows].concat());
    }
    text
}

fn span(duration: Duration) -> String {
    match duration.as_secs() {
        0 => "–".to_owned(),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

fn reaction_table() -> String {
    let docs = documented(include_str!("../src/ledger.rs"), "ReactionKind");
    let rows = ReactionKind::ALL.iter().map(|&kind| {
        let ReactionPolicy { is_enabled, action, retries, escalate_after, priority, after, .. } =
            ReactionPolicy::default_of(kind);
        let tells = match action {
            ReactionAction::Message => "the agent",
            ReactionAction::Notify => "a human",
        };
        vec![
            code(kind),
            docs[kind.as_str()].clone(),
            if is_enabled { "on" } else { "off" }.to_owned(),
            tells.to_owned(),
            code(priority),
            span(after),
            retries.map_or_else(|| "–".to_owned(), |n| n.to_string()),
            escalate_after.map_or_else(|| "–".to_owned(), span),
        ]
    });
    let titles =
        ["reaction", "when", "default", "tells", "priority", "after", "retries", "escalate_after"];
    table(&titles, rows)
}

fn quarantine_table() -> String {
    let policy = Policy::default();
    let rows = [
        (
            "counted looks with the same evidence until `stuck`",
            policy.detecting_attempts_max.to_string(),
        ),
        ("time awake in doubt until `stuck`", span(policy.detecting_for_max)),
        ("a look counts this long after the last counted one", span(policy.reaper_interval)),
        ("a word of the agent holds a death back for", span(policy.veto_for)),
        (
            "silence, awake, of an agent that declares signals until `stuck/no_signal`",
            span(policy.no_signal_for_max),
        ),
    ];
    let rows = rows.into_iter().map(|(what, value)| vec![what.to_owned(), value]);
    table(&["bound", "default"], rows)
}

fn message_states() -> String {
    let docs = documented(include_str!("../src/message.rs"), "MessageState");
    let rows = MessageState::ALL.iter().map(|&state| {
        let reason = Some(MessageReason::CannotConfirm);
        let is_final = match (state.is_final(), state.is_final_with(reason)) {
            (true, _) => "yes",
            (false, true) => "with `cannot_confirm`",
            (false, false) => "no",
        };
        vec![code(state), docs[state.as_str()].clone(), is_final.to_owned()]
    });
    table(&["state", "means", "final"], rows)
}

fn section(page: &mut String, title: &str, words: &str, body: &str) {
    page.push_str(&["\n## ", title, "\n\n", words, "\n\n", body.trim(), "\n"].concat());
}

/// What a session is, and how it is shown.
fn add_states(page: &mut String) {
    let record = include_str!("../src/record.rs");
    section(
        page,
        "States",
        "What a session is doing.",
        &glossary("state", SessionState::ALL, &documented(record, "SessionState")),
    );
    let words = format!("Every pair that a decider gives, and who gives it.\n{}", unused_reasons());
    section(page, "States and reasons", &words, &states_table());
    section(
        page,
        "Status",
        "What a person is shown, most urgent first.",
        &glossary("status", Status::ALL, &documented(include_str!("../src/status.rs"), "Status")),
    );
    section(
        page,
        "From state to status",
        "It is derived on read, from the verdict of the session and, where the session is \
         `working` or `idle`, that of its pull requests.\n\
         Rows and columns that say the same are one.",
        &status_table(),
    );
    section(
        page,
        "Settling",
        "What the session axis is, going by the last known activity, what was told with it, and the \
         pull requests.\n\
         An agent that was not heard yet is `not_started/spawn_requested` if it says when it \
         starts, and `working/task_in_progress` from its first healthy look on if it does not.",
        &settle_table(),
    );
}

/// What leads there, and what is said because of it.
fn add_rules(page: &mut String) {
    let message = include_str!("../src/message.rs");
    let golden = |text: &str| format!("```text\n{}\n```", text.trim());
    section(
        page,
        "One look, the session axis",
        "`rule_table::the_table_of_the_session_axis_is_the_decider` holds it to every question.",
        &golden(include_str!("golden/probe_session.txt")),
    );
    section(
        page,
        "One look, the runtime axis",
        "`rule_table::the_table_of_the_runtime_axis_is_the_decider` holds it to every question.",
        &golden(include_str!("golden/probe_runtime.txt")),
    );
    section(
        page,
        "Quarantine",
        "A doubt never ends a session; it ends in a clear look, or in `stuck`, which calls a human.\n\
         Both bounds are inclusive, other evidence starts the count again but not the time, and the \
         first look after a boot or a resume counts for nothing.",
        &quarantine_table(),
    );
    section(
        page,
        "Reactions",
        "What is said because of a condition; `[projects.ID.reactions.NAME]` changes `enabled`, \
         `retries`, `escalate_after` and `message`.\n\
         The attempt after `retries` is not made: it calls a human instead, as does an incident \
         that is open `escalate_after` after its first attempt.",
        &reaction_table(),
    );
    let inbox = documented(include_str!("../src/inbox.rs"), "Priority");
    section(page, "Priorities", "Most urgent first.", &glossary("priority", Priority::ALL, &inbox));
    section(page, "Messages", "How far a message got.", &message_states());
    section(
        page,
        "Reasons of messages",
        "Why a message is where it is.",
        &glossary("reason", MessageReason::ALL, &documented(message, "MessageReason")),
    );
}

fn page() -> String {
    let mut page = "# Lifecycle\n\n\
        Every rule as a table.\n\
        This page is made from the code: `lifecycle::the_page_says_what_the_deciders_answer` asks \
        the deciders of `ao-core` and compares, and writes the page with `UPDATE=1`.\n"
        .to_owned();
    add_states(&mut page);
    add_rules(&mut page);
    page
}

#[test]
fn the_page_says_what_the_deciders_answer() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/lifecycle.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(page.lines()).find(|(old, new)| old != new);
    assert_eq!(differs, None, "`UPDATE=1` writes docs/lifecycle.md again");
    assert_eq!(written, page);
}

#[test]
fn every_reason_that_is_decided_and_every_status_stands_on_the_page() {
    let page = page();
    for status in Status::ALL {
        let shown = page.matches(&format!("`{status}`")).count();
        assert!(shown >= 2, "nothing leads to `{status}`");
    }
}

#[test]
fn every_reason_is_decided_by_something_or_says_why_it_is_not() {
    let decided: BTreeSet<_> = verdicts().into_keys().map(|(_, reason)| reason).collect();
    let all: BTreeSet<_> = SessionReason::ALL.iter().copied().collect();
    let undecided: BTreeSet<_> = UNDECIDED.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(all.difference(&decided).copied().collect::<BTreeSet<_>>(), undecided);
}

#[test]
fn every_state_of_a_session_is_decided_by_something() {
    let decided: BTreeSet<_> = verdicts().into_keys().map(|(state, _)| state).collect();
    let all: BTreeSet<_> = SessionState::ALL.iter().copied().collect();
    assert_eq!(all, decided);
}
