//! Text on its way to a terminal: printable characters, newline and tab only.

/// Text that is safe to paste.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sanitized {
    /// What is left.
    pub text: String,
    /// How many characters were taken out.
    pub n_stripped: u64,
}

/// Takes out everything that a terminal would act on.
///
/// Control characters go: `ESC [201~` would end the paste and press keys, `0x03` would end the
/// agent. Line ends become newlines, and those at the end go too, because Enter follows anyway and
/// would submit an empty line.
pub fn sanitize(text: &str) -> Sanitized {
    let unified = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut n_stripped = 0_u64;
    let kept: String = unified
        .chars()
        .filter(|&c| {
            let is_kept = c == '\n' || c == '\t' || !c.is_control();
            if !is_kept {
                n_stripped = n_stripped.saturating_add(1);
            }
            is_kept
        })
        .collect();
    Sanitized { text: kept.trim_end_matches('\n').to_owned(), n_stripped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str, n_stripped: u64) {
        assert_eq!(sanitize(text), Sanitized { text: expect.to_owned(), n_stripped });
    }

    #[test]
    fn nothing_that_a_terminal_acts_on_gets_through() {
        check("fix it", "fix it", 0);
        check("a\u{1b}[201~\u{3}b", "a[201~b", 2);
        check("\u{9b}31m", "31m", 1);
        check("tab\tand\nnewline", "tab\tand\nnewline", 0);
        check("emoji 🦀 and ü", "emoji 🦀 and ü", 0);
    }

    #[test]
    fn line_ends_become_newlines_and_trailing_ones_go() {
        check("a\r\nb\rc\n\n", "a\nb\nc", 0);
    }
}
