//! The golden table of the probe decider: one line per rule, and the proof that it says everything.

use std::fmt::Write as _;
use std::path::PathBuf;

use ao_core::decide::probe::{
    Answer, Completion, Ending, Finding, Question, Standing, Voice, decide,
};
use ao_core::fact::{BootProbe, LookValues, ProcessProbe, RuntimeProbe, ServerProbe};

/// One line of a table: patterns, the verdict, and how many questions it decides.
struct Line {
    patterns: Vec<String>,
    verdict: String,
    n_decided: usize,
}

/// A question as the words of its columns.
type Words = Vec<&'static str>;

fn table_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

pub(crate) fn every_question() -> Vec<Question> {
    let mut all = Vec::new();
    for &standing in Standing::ALL {
        for &boot in BootProbe::ALL {
            for &server in ServerProbe::ALL {
                for &runtime in RuntimeProbe::ALL {
                    for &process in ProcessProbe::ALL {
                        let look = LookValues { boot, server, runtime, process };
                        all.extend(questions_about(standing, look));
                    }
                }
            }
        }
    }
    all
}

fn questions_about(standing: Standing, look: LookValues) -> Vec<Question> {
    let mut all = Vec::new();
    for &voice in Voice::ALL {
        for &ending in Ending::ALL {
            for &completion in Completion::ALL {
                all.push(Question { standing, look, voice, ending, completion });
            }
        }
    }
    all
}

fn words(question: Question) -> Words {
    vec![
        question.standing.as_str(),
        question.look.boot.as_str(),
        question.look.server.as_str(),
        question.look.runtime.as_str(),
        question.look.process.as_str(),
        question.voice.as_str(),
        question.ending.as_str(),
        question.completion.as_str(),
    ]
}

fn session_verdict(answer: Answer) -> String {
    let finding = match answer.finding {
        Finding::NotAddressed => "not addressed".to_owned(),
        Finding::Healthy => "healthy".to_owned(),
        Finding::Doubt(reason) => format!("detecting/{reason}"),
        Finding::Ended(verdict) => format!("{}/{}", verdict.state, verdict.reason),
    };
    let look = if answer.wants_look { ", look again" } else { "" };
    format!("{}: {finding}{look}", answer.rule)
}

fn runtime_verdict(answer: Answer) -> String {
    answer.runtime.map_or_else(
        || "not addressed".to_owned(),
        |runtime| format!("{}/{}", runtime.state, runtime.reason),
    )
}

fn parse(table: &str) -> Vec<Line> {
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (patterns, rest) = line.split_once("=>").unwrap();
            let (verdict, n_decided) = rest.rsplit_once('|').unwrap();
            Line {
                patterns: patterns.split_whitespace().map(str::to_owned).collect(),
                verdict: verdict.trim().to_owned(),
                n_decided: n_decided.trim().parse().unwrap(),
            }
        })
        .collect()
}

/// Whether a cell says this word: `*` says every one, `a/b` two of them.
fn says(pattern: &str, word: &str) -> bool {
    pattern == "*" || pattern.split('/').any(|one| one == word)
}

fn first_match(lines: &[Line], words: &Words) -> Option<usize> {
    lines
        .iter()
        .position(|line| line.patterns.iter().zip(words).all(|(pattern, word)| says(pattern, word)))
}

/// Rewrites the counts when asked to, and keeps everything else as people wrote it.
fn rewrite_counts(name: &str, table: &str, n_decided: &[usize]) {
    let mut counts = n_decided.iter();
    let mut text = String::new();
    for line in table.lines() {
        if line.is_empty() || line.starts_with('#') {
            writeln!(text, "{line}").unwrap();
        } else {
            let (rule, _) = line.rsplit_once('|').unwrap();
            writeln!(text, "{rule}| {}", counts.next().unwrap()).unwrap();
        }
    }
    std::fs::write(table_path(name), text).unwrap();
}

fn check(name: &str, verdict_of: fn(Answer) -> String) {
    let table = std::fs::read_to_string(table_path(name)).unwrap();
    let lines = parse(&table);
    let asked = every_question()
        .into_iter()
        .map(|question| (words(question), verdict_of(decide(question))))
        .collect::<Vec<_>>();
    let mut n_decided = vec![0; lines.len()];
    for (words, verdict) in &asked {
        let line = first_match(&lines, words);
        let Some(line) = line else { panic!("{name}: no line decides {words:?}") };
        assert_eq!(lines[line].verdict, *verdict, "{name}: line {line} decides {words:?}");
        n_decided[line] += 1;
    }
    assert!(n_decided.iter().all(|&n| n > 0), "{name}: a line is unreachable: {n_decided:?}");
    if std::env::var_os("UPDATE").is_some() {
        rewrite_counts(name, &table, &n_decided);
    } else {
        let written = lines.iter().map(|line| line.n_decided).collect::<Vec<_>>();
        assert_eq!(written, n_decided, "{name}: the counts");
    }
    check_that_it_is_minimal(name, lines, &asked);
}

/// No cell of the table could be `*`: each says something that the lines above it leave open.
fn check_that_it_is_minimal(name: &str, mut lines: Vec<Line>, asked: &[(Words, String)]) {
    for line in 0..lines.len() {
        for cell in 0..lines[line].patterns.len() {
            if lines[line].patterns[cell] == "*" {
                continue;
            }
            let pattern = std::mem::replace(&mut lines[line].patterns[cell], "*".to_owned());
            let is_still_right = asked.iter().all(|(words, verdict)| {
                first_match(&lines, words).is_some_and(|line| lines[line].verdict == *verdict)
            });
            assert!(!is_still_right, "{name}: `{pattern}` in line {line} says nothing");
            lines[line].patterns[cell] = pattern;
        }
    }
}

#[test]
fn the_table_of_the_session_axis_is_the_decider() {
    check("probe_session.txt", session_verdict);
}

#[test]
fn the_table_of_the_runtime_axis_is_the_decider() {
    check("probe_runtime.txt", runtime_verdict);
}
