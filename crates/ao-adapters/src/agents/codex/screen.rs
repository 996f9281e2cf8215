//! Reads the screen of Codex.
//!
//! # How it is laid out
//!
//! The composer is a block at the bottom. It begins with `› ` in the first column (`! ` when it is
//! to run a shell command), its other lines are indented, and below it stand an empty line and the
//! hints, or nothing when it fills the screen. While it takes the keys, the cursor
//! is visible and inside it. What stands in it while it is empty is drawn faint, and a long paste
//! is a stand-in.
//!
//! A dialog takes the place of all that and hides the cursor; its last line names its keys.
//!
//! The title is `codex | PROJECT`, behind a spinner while a turn runs and behind `[ ! ]` while
//! something is asked: our settings see to that. A plan that waits for approval is told by its
//! dialog alone. While Codex loads, it draws a composer, too, but has not set its title yet: what is
//! typed then may go to a dialog that is still to come.

use ao_core::fact::SignalDetail;
use ao_core::ports::TerminalLook;
use ao_core::reading::{Composer, ScreenReading};

use super::super::styled::{Cell, plain, styled_lines};

/// What begins the title while something is asked; it blinks.
const ASKING: [&str; 2] = ["[ ! ]", "[ . ]"];

/// Begins the title behind the signs of activity.
const TITLE: &str = "codex | ";

/// Lines by which a dialog is known.
const DIALOGS: [(&str, SignalDetail); 6] = [
    ("Press enter to confirm or esc to cancel", SignalDetail::Permission),
    ("Implement this plan?", SignalDetail::PlanApproval),
    ("Trust this folder?", SignalDetail::Trust),
    ("Folder access", SignalDetail::Trust),
    ("Hooks need review", SignalDetail::Trust),
    ("Choose how you want to use Codex.", SignalDetail::AuthFailed),
];

/// Keys that the last line of a dialog names.
const ANSWER_KEYS: [&str; 3] = ["enter", "esc", "^c"];

/// Begins the hints while a human looks around in the conversation. Nothing is asked then.
const BROWSING: &str = "Browsing transcript";

/// Begins the hints while they take what is typed, to search for it.
const SEARCHES: [&str; 2] = ["  Find:", "  reverse-i-search:"];

/// Lines at the bottom that can name the keys of a dialog, on a narrow screen.
const HINTS_MAX: usize = 3;

/// Stands at the end of the composer's first line while more of it is above.
const SCROLLED: char = '↑';

/// What a screen shows.
pub(super) fn read(look: &TerminalLook) -> ScreenReading {
    let lines: Vec<Line> = styled_lines(&look.styled).into_iter().map(Line::new).collect();
    let is_asking = ASKING.iter().any(|mark| look.title.starts_with(mark));
    let is_turn = is_asking || look.title.starts_with(is_spinner) || has_working_line(&lines);
    let is_ready = look.title.trim_start_matches(is_spinner).trim_start().starts_with(TITLE);
    let (dialog, composer) = match look.cursor {
        Some(cursor) if is_ready => {
            let (column, row) = (usize::from(cursor.column), usize::from(cursor.row));
            (None, composer(&lines, column, row))
        }
        Some(_) if !is_asking => (None, Composer::Unknown),
        Some(_) | None => (dialog(&lines, is_asking), Composer::Unknown),
    };
    // A screen without anything to type at may be one between two others: rest is not read from it.
    let can_tell = is_turn || dialog.is_some() || composer != Composer::Unknown;
    ScreenReading { dialog, composer, is_turn: can_tell.then_some(is_turn) }
}

/// One row of the screen.
struct Line {
    cells: Vec<Cell>,
    text: String,
}

impl Line {
    fn new(cells: Vec<Cell>) -> Self {
        let text = plain(&cells).trim_end().to_owned();
        Self { cells, text }
    }

    /// Whether it can be the first line of the composer.
    fn begins_composer(&self) -> bool {
        matches!(self.text.as_str(), "›" | "!")
            || self.text.starts_with("› ")
            || self.text.starts_with("! ")
    }

    /// Whether it can be a further line of the composer.
    fn continues_composer(&self) -> bool {
        self.text.is_empty() || self.text.starts_with("  ")
    }

    /// Whether all that stands behind the first column is faint.
    fn is_placeholder(&self) -> bool {
        self.cells.iter().skip(1).filter(|cell| cell.char != ' ').all(|cell| cell.is_dim)
    }
}

/// Whether this is a frame of the spinner.
fn is_spinner(char: char) -> bool {
    ('\u{2801}'..='\u{28ff}').contains(&char)
}

/// A turn that is not printing has such a line above the composer.
fn has_working_line(lines: &[Line]) -> bool {
    lines
        .iter()
        .any(|line| line.text.starts_with(['•', '◦']) && line.text.contains("esc to interrupt)"))
}

fn dialog(lines: &[Line], is_asking: bool) -> Option<SignalDetail> {
    let texts = || lines.iter().rev().map(|line| line.text.trim()).filter(|text| !text.is_empty());
    let is_answerable = texts().next().is_some_and(names_answer_keys);
    if !is_asking && !is_answerable {
        return None;
    }
    let known = texts().find_map(|text| {
        DIALOGS.iter().find(|(known, _)| text.starts_with(known)).map(|&(_, detail)| detail)
    });
    // The question menu is told by its keys; what is above may quote any dialog.
    let is_menu = texts().take(HINTS_MAX).any(|keys| keys.contains("submit answer"));
    known.filter(|_known| !is_menu).or(Some(SignalDetail::Question))
}

fn names_answer_keys(hints: &str) -> bool {
    let is_word_end = |char: char| !char.is_alphanumeric() && char != '^';
    !hints.starts_with(BROWSING) && hints.split(is_word_end).any(|word| ANSWER_KEYS.contains(&word))
}

/// What stands in the composer, if the cursor is in it.
fn composer(lines: &[Line], column: usize, row: usize) -> Composer {
    let Some(first) = first_row(lines, row) else { return Composer::Unknown };
    let Some(last) = last_row(lines, first, row) else { return Composer::Unknown };
    let Some((head, rest)) = lines.get(first..=last).and_then(<[Line]>::split_first) else {
        return Composer::Unknown;
    };
    let is_shell = head.text.starts_with('!');
    if !is_shell && rest.is_empty() && column == COMPOSER_COLUMN && head.is_placeholder() {
        return Composer::Empty;
    }
    let beginning = head.text.trim_end_matches(SCROLLED).trim_end();
    // In shell mode the sign is part of what was typed.
    let beginning = if is_shell { beginning } else { beginning.trim_start_matches('›') };
    let rest = rest.iter().map(|line| line.text.strip_prefix("  ").unwrap_or(&line.text));
    let held: Vec<&str> = std::iter::once(beginning.trim_start()).chain(rest).collect();
    let held = held.join("\n");
    match held.trim_end() {
        // It is empty, but without a placeholder: no state of it that was ever seen.
        "" => Composer::Unknown,
        held if is_stand_in(held) => Composer::Collapsed,
        held => Composer::Holds(held.to_owned()),
    }
}

/// Where the text of the composer begins.
const COMPOSER_COLUMN: usize = 2;

/// The first row of the composer, going up from the cursor.
fn first_row(lines: &[Line], row: usize) -> Option<usize> {
    for at in (0..=row).rev() {
        // Rows at the bottom that are empty may not have been printed.
        let Some(line) = lines.get(at) else { continue };
        if line.begins_composer() {
            return Some(at);
        }
        if !line.continues_composer() {
            return None;
        }
    }
    None
}

/// The last row of the composer; `None` when the cursor is in a search below it.
fn last_row(lines: &[Line], first: usize, row: usize) -> Option<usize> {
    let is_search = |line: &Line| SEARCHES.iter().any(|it| line.text.starts_with(it));
    if row > first && lines.get(row).is_some_and(is_search) {
        return None;
    }
    let bottom = lines.iter().rposition(|line| !line.text.is_empty())?.max(row);
    if lines.get(first).is_some_and(|line| line.text.ends_with(SCROLLED)) {
        return Some(bottom);
    }
    // The hints are the last block, if there is one below that of the cursor.
    let below = row.saturating_add(1);
    let between = lines.get(below..bottom).unwrap_or_default();
    let gap = between.iter().rposition(|line| line.text.is_empty());
    Some(gap.map_or(bottom, |gap| below.saturating_add(gap).saturating_sub(1)))
}

/// Whether this is what is shown for a long paste.
fn is_stand_in(held: &str) -> bool {
    let Some(rest) = held.strip_prefix("[Pasted Content ") else { return false };
    let Some((count, rest)) = rest.split_once(" chars]") else { return false };
    let number = rest.strip_prefix(" #").unwrap_or_default();
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !count.is_empty()
        && are_digits(count)
        && are_digits(number)
        && (rest.is_empty() || !number.is_empty())
}
