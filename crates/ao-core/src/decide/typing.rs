//! Whether text may be typed now, and whether Enter may be pressed on it: nothing is ever typed at a
//! dialog, and nothing is added to what somebody else has typed.
//!
//! It looks at one terminal and knows no session: [`crate::record`] has the reasons that no screen
//! shows.

use crate::echo::decomposed;
use crate::message::{Lane, MessageReason};
use crate::ports::TerminalLook;
use crate::reading::{Composer, ScreenReading};

/// Shortest visible part of a longer text by which it is recognised, in letters and digits: a
/// composer that shows the end of a long text shows at least a line of it.
const RECOGNISED_CHARS_MIN: usize = 16;

/// Shortest text, in letters and digits, that is recognised before the cursor of a program whose
/// screens cannot be read: a shorter one may be part of what that program shows.
const BEFORE_CURSOR_CHARS_MIN: usize = 4;

/// What the terminal shows against a paste; `None` when nothing does.
///
/// A program whose screens cannot be read (`None`) is typed at blindly: there is no other way.
pub fn paste_hold(
    look: &TerminalLook,
    reading: Option<&ScreenReading>,
    lane: Lane,
) -> Option<MessageReason> {
    if look.is_in_mode {
        return Some(MessageReason::CopyMode);
    }
    if look.is_human_typing && lane == Lane::Automatic {
        return Some(MessageReason::HumanTyping);
    }
    let reading = reading?;
    if reading.dialog.is_some() {
        return Some(MessageReason::Blocked);
    }
    match reading.composer {
        Composer::Empty => None,
        Composer::Holds(_) | Composer::Collapsed => Some(MessageReason::ComposerBusy),
        Composer::Unknown => Some(MessageReason::CannotTell),
    }
}

/// What is to be done about Enter, once the text was pasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnterTurn {
    /// Press it: our text stands in the composer and takes the keys.
    Press,
    /// Something stands in the way that may go.
    Wait(MessageReason),
    /// The composer is empty: the text is not there yet, or not any more.
    Gone,
}

/// Whether Enter may be pressed on `text`.
pub fn enter_turn(look: &TerminalLook, reading: Option<&ScreenReading>, text: &str) -> EnterTurn {
    if look.is_in_mode {
        return EnterTurn::Wait(MessageReason::CopyMode);
    }
    let Some(reading) = reading else { return EnterTurn::Press };
    if reading.dialog.is_some() {
        return EnterTurn::Wait(MessageReason::Blocked);
    }
    match &reading.composer {
        Composer::Collapsed => EnterTurn::Press,
        Composer::Holds(visible) if shows_the_end_of(visible, text) => EnterTurn::Press,
        Composer::Holds(_) => EnterTurn::Wait(MessageReason::ComposerBusy),
        Composer::Empty => EnterTurn::Gone,
        Composer::Unknown => EnterTurn::Wait(MessageReason::CannotTell),
    }
}

/// Whether what a composer shows is this text, or the end of it.
///
/// Screens break lines, pad, and draw some characters as others, so only letters and digits count,
/// where there are any; and agents put a letter and its accent together.
pub fn shows_the_end_of(visible: &str, text: &str) -> bool {
    let (visible, text) = (&*decomposed(visible), &*decomposed(text));
    let mut counts: fn(char) -> bool = char::is_alphanumeric;
    if !text.chars().any(counts) {
        counts = |c| !c.is_whitespace();
    }
    let (visible, text) = (squeeze(visible, counts), squeeze(text, counts));
    if visible == text {
        return true;
    }
    visible.chars().count() >= RECOGNISED_CHARS_MIN && text.ends_with(&visible)
}

/// Whether the cursor of a program whose screens cannot be read stands right behind this text: a
/// terminal shows what was typed and not sent yet like that, and Enter moves the cursor on.
///
/// It is evidence after an interruption only. Where the text cannot be told from what the program
/// shows (it is short, or ends with a blank, or a line that ends at the edge), there is none.
pub fn stands_before_the_cursor(look: &TerminalLook, text: &str) -> bool {
    let Some(cursor) = look.cursor.filter(|_| !look.is_in_mode) else { return false };
    let mut rows: Vec<&str> = look.screen.lines().take(usize::from(cursor.row) + 1).collect();
    let Some(line) = rows.pop().filter(|_| rows.len() == usize::from(cursor.row)) else {
        return false;
    };
    let line: String = line.chars().take(usize::from(cursor.column)).collect();
    if line.is_empty() || line.chars().next_back() != text.chars().next_back() {
        return false;
    }
    let visible = format!("{}{line}", rows.concat());
    let visible = squeeze(&decomposed(&visible), char::is_alphanumeric);
    let text = squeeze(&decomposed(text), char::is_alphanumeric);
    if visible.ends_with(&text) {
        return text.chars().count() >= BEFORE_CURSOR_CHARS_MIN;
    }
    visible.chars().count() >= RECOGNISED_CHARS_MIN && text.ends_with(&visible)
}

fn squeeze(text: &str, counts: fn(char) -> bool) -> String {
    text.chars().filter(|&c| counts(c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::SignalDetail;
    use crate::ports::Cursor;

    fn look() -> TerminalLook {
        TerminalLook {
            screen: String::new(),
            styled: String::new(),
            cursor: None,
            title: String::new(),
            is_in_mode: false,
            is_human_typing: false,
        }
    }

    fn reading(composer: Composer) -> ScreenReading {
        ScreenReading { dialog: None, composer, is_turn: None }
    }

    fn holds(text: &str) -> ScreenReading {
        reading(Composer::Holds(text.to_owned()))
    }

    #[test]
    fn text_is_pasted_into_an_empty_composer_only() {
        let check = |reading: &ScreenReading, expect| {
            assert_eq!(paste_hold(&look(), Some(reading), Lane::Human), expect, "{reading:?}");
        };
        check(&reading(Composer::Empty), None);
        check(&holds("half a li"), Some(MessageReason::ComposerBusy));
        check(&reading(Composer::Collapsed), Some(MessageReason::ComposerBusy));
        check(&ScreenReading::UNKNOWN, Some(MessageReason::CannotTell));
        let dialog =
            ScreenReading { dialog: Some(SignalDetail::Permission), ..reading(Composer::Empty) };
        check(&dialog, Some(MessageReason::Blocked));
        assert_eq!(paste_hold(&look(), None, Lane::Automatic), None);
    }

    #[test]
    fn a_human_at_the_keys_holds_what_is_automatic_and_copy_mode_holds_everything() {
        let typing = TerminalLook { is_human_typing: true, ..look() };
        assert_eq!(paste_hold(&typing, None, Lane::Automatic), Some(MessageReason::HumanTyping));
        assert_eq!(paste_hold(&typing, None, Lane::Human), None);
        let copying = TerminalLook { is_in_mode: true, ..look() };
        assert_eq!(paste_hold(&copying, None, Lane::Human), Some(MessageReason::CopyMode));
        assert_eq!(enter_turn(&copying, None, "x"), EnterTurn::Wait(MessageReason::CopyMode));
    }

    #[test]
    fn enter_is_pressed_on_our_own_text_only() {
        let check = |reading: &ScreenReading, expect| {
            assert_eq!(enter_turn(&look(), Some(reading), "fix the build"), expect, "{reading:?}");
        };
        check(&holds("fix the build"), EnterTurn::Press);
        check(&holds("fix the\n  build "), EnterTurn::Press);
        check(&reading(Composer::Collapsed), EnterTurn::Press);
        check(&holds("ok fix the build"), EnterTurn::Wait(MessageReason::ComposerBusy));
        check(&holds("build"), EnterTurn::Wait(MessageReason::ComposerBusy));
        check(&reading(Composer::Empty), EnterTurn::Gone);
        check(&ScreenReading::UNKNOWN, EnterTurn::Wait(MessageReason::CannotTell));
        let dialog =
            ScreenReading { dialog: Some(SignalDetail::Question), ..holds("fix the build") };
        check(&dialog, EnterTurn::Wait(MessageReason::Blocked));
        assert_eq!(enter_turn(&look(), None, "anything"), EnterTurn::Press);
    }

    #[test]
    fn a_long_text_is_recognised_by_its_end() {
        let text = format!("{} and then run the tests again", "word ".repeat(500));
        assert!(shows_the_end_of("word word and then run\nthe tests again", &text));
        assert!(!shows_the_end_of("word word word word word", &format!("{text}!9")));
        assert!(!shows_the_end_of("again", &text));
        assert!(shows_the_end_of("→ 👍", "→👍"));
        assert!(!shows_the_end_of("→", "→👍"));
    }

    #[test]
    fn a_text_that_stands_at_a_blind_prompt_is_behind_its_cursor() {
        let check = |screen: &str, (column, row): (u16, u16), text: &str, expect: bool| {
            let at = TerminalLook {
                screen: screen.to_owned(),
                cursor: Some(Cursor { column, row }),
                ..look()
            };
            assert_eq!(stands_before_the_cursor(&at, text), expect, "{screen:?} {text:?}");
            let copying = TerminalLook { is_in_mode: true, ..at.clone() };
            assert!(!stands_before_the_cursor(&copying, text));
            assert!(!stands_before_the_cursor(&TerminalLook { cursor: None, ..at }, text));
        };
        check("$ fix the build", (15, 0), "fix the build", true);
        check("fix the bu\nild\n\n", (3, 1), "fix the build", true);
        check("fix\nthe build", (9, 1), "fix\nthe build", true);
        // It was sent, or the cursor was moved, or more was typed.
        check("$ fix the build\n$ ", (2, 1), "fix the build", false);
        check("fix the build\n", (0, 1), "fix the build", false);
        check("fix the build", (7, 0), "fix the build", false);
        check("fix the build!", (14, 0), "fix the build", false);
        check("another build", (13, 0), "fix the build", false);
        // It may be the question.
        check("go on? [y/n] y", (14, 0), "y", false);
        check("", (0, 0), "fix the build", false);
        check("fix the build", (13, 4), "fix the build", false);
        let long = format!("{} and the end", "word ".repeat(500));
        check("word word word\n and the end", (12, 1), &long, true);
        check("the end", (7, 0), &long, false);
    }

    #[test]
    fn a_text_is_recognised_when_its_accents_were_put_together() {
        let apart = "cafe\u{301} \u{1112}\u{1161}\u{11ab} \u{212b}";
        let together = "caf\u{e9} \u{d55c} \u{c5}";
        assert!(shows_the_end_of(together, apart));
        assert!(shows_the_end_of(apart, together));
        assert!(!shows_the_end_of("caf\u{e9}", apart));
    }
}
