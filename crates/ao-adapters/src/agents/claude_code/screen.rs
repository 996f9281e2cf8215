//! What a screen of Claude shows.
//!
//! The composer stands between the last two rules of the screen, behind a mark and a no-break space;
//! what was said earlier stands behind the same mark and an ordinary space. A dialog takes its place
//! and ends in a line that says how to leave it. Everything else is not told.

use ao_core::fact::SignalDetail;
use ao_core::ports::TerminalLook;
use ao_core::reading::{Composer, ScreenReading};

use crate::agents::styled::{Cell, plain, styled_lines};

/// Between the mark of the composer and its text.
const NO_BREAK_SPACE: char = '\u{a0}';

/// Shortest rule: narrower terminals show none.
const RULE_CHARS_MIN: usize = 10;

/// How many lines at the bottom tell a dialog's kind: its choices and its hint, and little above.
const DIALOG_LINES: usize = 12;

/// What a screen shows.
pub(super) fn read(look: &TerminalLook) -> ScreenReading {
    let styled = if look.styled.is_empty() { &look.screen } else { &look.styled };
    let lines = styled_lines(styled);
    if let Some((composer, footer)) = composer(&lines) {
        let is_turn = is_turn(&look.title, &footer, &composer);
        return ScreenReading { dialog: None, composer, is_turn };
    }
    let text: Vec<String> = lines.iter().map(|line| plain(line)).collect();
    match dialog(&text) {
        Some(kind) => {
            ScreenReading { dialog: Some(kind), composer: Composer::Unknown, is_turn: None }
        }
        None => ScreenReading::UNKNOWN,
    }
}

/// The composer and what stands under it.
fn composer(lines: &[Vec<Cell>]) -> Option<(Composer, String)> {
    let mut rules = lines.iter().enumerate().rev().filter(|(_, line)| is_rule(line));
    let (bottom, _) = rules.next()?;
    let (top, top_rule) = rules.next()?;
    let rows = lines.get(top.checked_add(1)?..bottom)?;
    let first = rows.first()?;
    // Of a text that is higher than its place, the rule says how much is out of sight.
    let is_scrolled = top_rule.iter().any(|cell| cell.char == '↑');
    let is_marked = matches!(
        (first.first().map(|it| it.char), first.get(1).map(|it| it.char)),
        (Some('❯' | '!'), Some(NO_BREAK_SPACE))
    );
    if !is_marked && !is_scrolled {
        return None;
    }
    let is_shell = is_marked && first.first().is_some_and(|it| it.char == '!');
    let text: Vec<&[Cell]> = rows.iter().map(|row| row.get(2..).unwrap_or_default()).collect();
    let footer = lines.get(bottom.checked_add(1)?..).unwrap_or_default();
    let footer: Vec<String> = footer.iter().map(|line| plain(line)).collect();
    Some((content(&text, is_shell), footer.join("\n")))
}

fn is_rule(line: &[Cell]) -> bool {
    let n_strokes = line.iter().filter(|cell| cell.char == '─').count();
    line.first().is_some_and(|cell| cell.char == '─') && n_strokes >= RULE_CHARS_MIN
}

fn content(rows: &[&[Cell]], is_shell: bool) -> Composer {
    if !is_shell && is_placeholder(rows) {
        return Composer::Empty;
    }
    let rows: Vec<String> = rows.iter().map(|row| plain(row).trim_end().to_owned()).collect();
    let text = rows.join("\n").trim_end().to_owned();
    if is_stand_in(&text) {
        Composer::Collapsed
    } else if is_shell {
        // The mode is part of what stands there.
        Composer::Holds(format!("!{text}"))
    } else {
        Composer::Holds(text)
    }
}

/// Whether there is nothing but a hint, which is dim behind the cursor that is drawn on its first
/// character.
fn is_placeholder(rows: &[&[Cell]]) -> bool {
    let mut ink = rows.iter().flat_map(|row| row.iter()).filter(|cell| !cell.char.is_whitespace());
    let Some(first) = ink.next() else { return true };
    let mut rest = ink.peekable();
    let is_hint = first.is_dim || (first.is_reversed && rest.peek().is_some());
    is_hint && rest.all(|cell| cell.is_dim)
}

/// `[Pasted text #1]`, `[Pasted text #2 +20 lines]`.
fn is_stand_in(text: &str) -> bool {
    let Some(inside) = text.strip_prefix("[Pasted text #").and_then(|it| it.strip_suffix(']'))
    else {
        return false;
    };
    let (number, lines) = inside.split_once(' ').unwrap_or((inside, "+1 lines"));
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|it| it.is_ascii_digit());
    let lines = lines.strip_prefix('+').and_then(|it| it.split_once(' '));
    is_number(number)
        && lines.is_some_and(|(n, word)| is_number(n) && matches!(word, "line" | "lines"))
}

/// Whether a turn runs. The footer tells it while the composer is empty, the title from the first
/// turn on.
fn is_turn(title: &str, footer: &str, composer: &Composer) -> Option<bool> {
    if footer.contains("esc to interrupt") {
        return Some(true);
    }
    match title.chars().next() {
        Some('◐' | '◓' | '◑' | '◒' | '\u{2801}'..='\u{28ff}') => Some(true),
        Some('✳') => Some(false),
        Some(_) | None if *composer == Composer::Empty && footer.contains("? for shortcuts") => {
            Some(false)
        }
        Some(_) | None => None,
    }
}

/// What takes the keys, when something does.
fn dialog(lines: &[String]) -> Option<SignalDetail> {
    let mut bottom: Vec<&str> =
        lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    bottom.drain(..bottom.len().saturating_sub(DIALOG_LINES));
    let last = bottom.last()?;
    let says = |what: &str| bottom.iter().any(|line| line.contains(what));
    let is_hint = |hint: &str| last.contains(hint);
    let has_choice = bottom.iter().any(|line| is_choice(line));
    if !has_choice && !is_hint("Esc to ") && !is_hint("Enter to ") {
        return None;
    }
    let kind = if is_hint("Enter to select") {
        SignalDetail::Question
    } else if is_hint("Tab to amend") || says("Do you want to proceed?") {
        SignalDetail::Permission
    } else if says("trust this folder") || says("use this API key?") || says("Yes, I accept") {
        SignalDetail::Trust
    } else if says("Exit plan mode?") || says("Would you like to proceed?") {
        SignalDetail::PlanApproval
    } else if says("Select login method") || says("Paste code here") {
        SignalDetail::AuthFailed
    } else {
        SignalDetail::Question
    };
    Some(kind)
}

/// `❯ 1. Yes`
fn is_choice(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("❯ ") else { return false };
    let digits = rest.trim_start_matches(|char: char| char.is_ascii_digit());
    digits.len() < rest.len() && digits.starts_with(". ")
}
