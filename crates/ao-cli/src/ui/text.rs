//! Text for people: widths, ages, sums. The only place that knows how wide a text is.

use jiff::Timestamp;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// What stands where there is nothing to tell.
pub(crate) const NOTHING: &str = "-";

/// Columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text cut to `max` columns, with an ellipsis where something was cut off.
pub(crate) fn truncate(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > max {
            break;
        }
        kept.push(c);
    }
    if max > 0 {
        kept.push('…');
    }
    kept
}

/// The text without anything that could move the cursor or change colours: it may be from an agent.
/// Newlines and tabs stay.
pub(crate) fn clean(text: &str) -> String {
    let is_plain = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.chars().map(|c| if is_plain(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// The text on one line.
pub(crate) fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A value, or the sign for nothing.
pub(crate) fn or_nothing(value: Option<&str>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), one_line)
}

/// How long ago that was, in its largest unit; the text itself when it is no time.
pub(crate) fn age(now: Timestamp, at: &str) -> String {
    let Ok(at) = at.parse::<Timestamp>() else { return one_line(at) };
    let seconds = (now.as_second() - at.as_second()).max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Money.
pub(crate) fn cost(usd: Option<f64>) -> String {
    usd.map_or_else(|| NOTHING.to_owned(), |usd| format!("${usd:.2}"))
}

/// Lines as one text.
pub(crate) fn joined(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// A number with its noun.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_by_columns_and_says_so() {
        let check = |text, max, expect| assert_eq!(truncate(text, max), expect);
        check("login", 5, "login");
        check("login page", 6, "login…");
        check("日本語", 6, "日本語");
        check("日本語", 5, "日本…");
        check("日本語", 4, "日…");
        check("login", 1, "…");
        check("login", 0, "");
    }

    #[test]
    fn an_age_has_one_unit_and_is_never_negative() {
        let now: Timestamp = "2026-03-02T12:00:00.000Z".parse().unwrap();
        let check = |at, expect| assert_eq!(age(now, at), expect);
        check("2026-03-02T11:59:18.000Z", "42s");
        check("2026-03-02T11:01:00.000Z", "59m");
        check("2026-03-01T12:00:00.000Z", "24h");
        check("2026-02-20T12:00:00.000Z", "10d");
        check("2026-03-02T12:00:09.000Z", "0s");
        check("never", "never");
    }

    #[test]
    fn nothing_from_outside_reaches_the_terminal_as_a_command() {
        assert_eq!(clean("a\u{1b}]0;x\u{7}b\n"), "a\u{fffd}]0;x\u{fffd}b\n");
        assert_eq!(one_line(" fix \n the\tlogin "), "fix the login");
    }
}
