//! What an agent repeats of a prompt that it took in, and whether that is a message of ours.
//!
//! Agents change white space, put letters and their accents together, cut what is long and join what
//! was queued, so the texts are compared word by word, with every accent apart. It decides about receipts only: nothing is typed because of it.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

/// Longest echo that is kept, in bytes: enough to tell two messages apart.
pub const ECHO_BYTES_MAX: usize = 1024;

/// How a text ends of which the rest was left out on its way to us.
pub const CUT_MARK: &str = "…[cut]";

/// Shortest part of a first word that is told by itself: two messages rarely share that much of one.
const HALF_WORD_BYTES_MIN: usize = 32;

/// A prompt as an agent told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptEcho {
    /// Its text, cut at [`ECHO_BYTES_MAX`].
    pub text: String,
    /// Whether there was more.
    pub is_cut: bool,
}

impl PromptEcho {
    /// An echo of what was told; `is_cut` says that it was not told whole. So does [`CUT_MARK`] at
    /// its end.
    pub fn new(text: &str, is_cut: bool) -> Self {
        let (text, is_cut) = match text.strip_suffix(CUT_MARK) {
            Some(told) => (told, true),
            None => (text, is_cut),
        };
        let text: String = text.chars().filter(|&c| !is_invisible(c)).collect();
        let end = text.floor_char_boundary(ECHO_BYTES_MAX);
        Self {
            text: text.get(..end).unwrap_or_default().to_owned(),
            is_cut: is_cut || end < text.len(),
        }
    }

    /// Whether this is `message`, alone or as a block of lines among others.
    pub fn is_of(&self, message: &str) -> bool {
        let message: String = message.chars().filter(|&c| !is_invisible(c)).collect();
        let (message, text) = (decomposed(&message), decomposed(&self.text));
        let ours: Vec<&str> = message.split_whitespace().collect();
        if ours.is_empty() {
            return false;
        }
        let told: Vec<&str> = text.split_whitespace().collect();
        if !self.is_cut && told == ours {
            return true;
        }
        // What was queued is joined with line breaks: ours begins at the beginning of a line.
        line_starts(&text).any(|start| {
            let rest = text.get(start..).unwrap_or_default();
            begins_with(rest, &ours, self.is_cut)
        })
    }
}

fn line_starts(text: &str) -> impl Iterator<Item = usize> + '_ {
    let after_breaks = text.match_indices('\n').map(|(at, _)| at.saturating_add(1));
    std::iter::once(0).chain(after_breaks)
}

/// The same text with every letter apart from its accents (Unicode's NFD): agents and terminals put
/// them together as they like. Of a text that was cut, the beginning stays the beginning.
pub fn decomposed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { Cow::Owned(text.nfd().collect()) }
}

/// Characters that show nothing and that agents take out of what they are told: soft hyphen, zero
/// width and word joiner, direction marks, fillers, tags. The joiners that emoji need are not among
/// them.
pub const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}' | '\u{3164}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// Whether `told` begins with these words and ends a line there, or was cut before it could.
fn begins_with(told: &str, ours: &[&str], is_cut: bool) -> bool {
    let mut rest = told;
    for (place, word) in ours.iter().enumerate() {
        rest = rest.trim_start();
        match rest.strip_prefix(word) {
            Some(after) if after.is_empty() || after.starts_with(char::is_whitespace) => {
                rest = after;
            }
            // The last word that was told may be half of one; half of a short one tells nothing.
            Some(_) | None => {
                let is_enough = place > 0 || rest.len() >= HALF_WORD_BYTES_MIN;
                return is_cut && is_enough && word.starts_with(rest);
            }
        }
    }
    rest.trim_start_matches([' ', '\t', '\r']).is_empty()
        || rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(told: &str, message: &str, expect: bool) {
        assert_eq!(PromptEcho::new(told, false).is_of(message), expect, "{told:?} / {message:?}");
    }

    #[track_caller]
    fn check_cut(told: &str, message: &str, expect: bool) {
        assert_eq!(PromptEcho::new(told, true).is_of(message), expect, "{told:?} / {message:?}");
    }

    #[test]
    fn a_prompt_is_recognised_whatever_became_of_its_white_space() {
        check("fix the build", "fix the build", true);
        check("fix  the\nbuild\n", " fix the build", true);
        check("yes", "yes please", false);
        check("yes please", "yes", false);
        check("anything", " \n", false);
        check("fix the build\u{a0}", "fix the build", true);
        check("fixthe build", "fix the build", false);
        check("fix the build", "fix\u{200b} the\u{feff} build", true);
        check("caf\u{e9} \u{d55c}", "cafe\u{301} \u{1112}\u{1161}\u{11ab}", true);
        check("caf\u{e9}", "cafe\u{300}", false);
    }

    #[test]
    fn a_message_is_found_among_others_that_were_queued_with_it() {
        check("first\nfix the\nbuild\nlast", "fix the build", true);
        check("do not fix the build", "fix the build", false);
        check("fix the building", "fix the build", false);
        check("fix the build of it\nlast", "fix the build", false);
    }

    #[test]
    fn a_cut_echo_is_compared_as_far_as_it_goes() {
        let message = "word ".repeat(1000);
        check(&message, &message, true);
        check_cut("fix the bu", "fix the build and more", true);
        check_cut("fix", "fix the build", true);
        check_cut("fi", "fix the build", false);
        check_cut("fix the cellar", "fix the build", false);
        check("fix the bu…[cut]", "fix the build and more", true);
        let word = "x".repeat(100_000);
        check(&word, &word, true);
    }
}
