//! How a message is typed at Claude, and what stands around it when Claude tells it.
//!
//! A paste of more than three line breaks or 800 characters is told between two lines of its own,
//! and what looks like such a line in the paste itself is told with a backslash.

use std::borrow::Cow;

use ao_core::echo::is_invisible;

/// How the first of these lines begins.
const OPENING: &str = "<pasted_content id=\"";

/// How the last of them begins.
const CLOSING: &str = "</pasted_content id=\"";

/// A message as it has to be typed to be a prompt.
///
/// A `!` in front would have it run as a command of the shell; a backslash at the end would make
/// Enter a line break; a last word such as `:cat` or `@file` opens a list that takes the Enter; and
/// for characters that nobody sees Claude asks for a second one. What begins with a slash stays:
/// whoever sends `/compact` means it. Claude cuts the blanks at the end off again.
pub(super) fn typed(text: &str) -> Cow<'_, str> {
    let is_shell = text.trim_start().starts_with('!');
    let last_word = text.split_whitespace().next_back().unwrap_or_default();
    let takes_enter = last_word.starts_with([':', '@']) || last_word.ends_with('\\');
    if !is_shell && !takes_enter && !text.contains(is_invisible) {
        return Cow::Borrowed(text);
    }
    let mut typed = String::with_capacity(text.len().saturating_add(2));
    if is_shell {
        typed.push(' ');
    }
    typed.extend(text.chars().filter(|&char| !is_invisible(char)));
    if takes_enter {
        typed.push(' ');
    }
    Cow::Owned(typed)
}

/// The prompt as it was pasted.
pub(super) fn unwrapped(prompt: &str) -> String {
    if !prompt.contains(OPENING) {
        return prompt.to_owned();
    }
    let is_ours = |line: &str| {
        (line.starts_with(OPENING) || line.starts_with(CLOSING)) && line.ends_with("\">")
    };
    let lines: Vec<&str> = prompt.split('\n').filter(|line| !is_ours(line)).collect();
    let text = lines.join("\n");
    let text = text.trim_matches('\n');
    text.replace("<\\/pasted_content", "</pasted_content")
        .replace("<\\pasted_content", "<pasted_content")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_typed_so_that_it_is_a_prompt_and_goes_at_the_first_enter() {
        for text in ["fix it", "/compact", "a ! b", "a\\b", "family 👨\u{200d}👩 end", ""] {
            assert!(matches!(typed(text), Cow::Borrowed(it) if it == text), "{text}");
        }
        assert_eq!(typed("!ls"), " !ls");
        assert_eq!(typed("\n !ls"), " \n !ls");
        assert_eq!(typed("a\\"), "a\\ ");
        assert_eq!(typed("look :cat"), "look :cat ");
        assert_eq!(typed("look at @src"), "look at @src ");
        assert_eq!(typed("a\u{202e}b\u{feff}"), "ab");
    }

    #[test]
    fn a_long_paste_is_told_as_it_was_pasted() {
        let told = "\n\n<pasted_content id=\"c1bc\">\na\nb\nc\nd\n</pasted_content id=\"c1bc\">\n";
        assert_eq!(unwrapped(told), "a\nb\nc\nd");
        let told = "\n\n<pasted_content id=\"c1bc\">\na\n</pasted_content id=\"c1bc\">\n\ntail";
        assert_eq!(unwrapped(told), "a\n\ntail");
        assert_eq!(unwrapped("say <pasted_content>"), "say <pasted_content>");
    }

    #[test]
    fn what_looks_like_its_lines_in_a_paste_comes_back() {
        let told = "\n\n<pasted_content id=\"c1bc\">\n<\\/pasted_content id=\"x\"> \
                    <\\pasted_content>\n</pasted_content id=\"c1bc\">\n";
        assert_eq!(unwrapped(told), "</pasted_content id=\"x\"> <pasted_content>");
    }

    #[test]
    fn a_prompt_that_was_cut_on_its_way_loses_its_first_line_only() {
        let told = "\n\n<pasted_content id=\"c1bc\">\nfix th…[cut]";
        assert_eq!(unwrapped(told), "fix th…[cut]");
    }
}
