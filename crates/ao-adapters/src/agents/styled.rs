//! A screen with its SGR sequences, as characters that know whether they are dim or reversed.
//!
//! It reads what `capture-pane -e` prints: one state of attributes that runs on across line breaks.
//! Colours are read past and not kept; a placeholder is told by being dim, a drawn cursor by being
//! reversed.

/// One character of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    /// The character.
    pub(super) char: char,
    /// Whether it is drawn faint.
    pub(super) is_dim: bool,
    /// Whether its colours are exchanged: how programs draw a cursor of their own.
    pub(super) is_reversed: bool,
}

/// The attributes in force.
#[derive(Debug, Clone, Copy, Default)]
struct Attributes {
    is_dim: bool,
    is_reversed: bool,
}

/// The lines of a styled screen.
pub(super) fn styled_lines(styled: &str) -> Vec<Vec<Cell>> {
    let mut lines = Vec::new();
    let mut line = Vec::new();
    let mut attributes = Attributes::default();
    let mut chars = styled.chars();
    while let Some(char) = chars.next() {
        match char {
            '\n' => lines.push(std::mem::take(&mut line)),
            '\u{1b}' => escape(&mut chars, &mut attributes),
            control if control.is_control() => {}
            _ => line.push(Cell {
                char,
                is_dim: attributes.is_dim,
                is_reversed: attributes.is_reversed,
            }),
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// The characters of some cells.
pub(super) fn plain(cells: &[Cell]) -> String {
    cells.iter().map(|cell| cell.char).collect()
}

/// Takes one sequence out of the stream; only SGR leaves a trace.
fn escape(chars: &mut std::str::Chars<'_>, attributes: &mut Attributes) {
    match chars.next() {
        Some('[') => {
            let mut parameters = String::new();
            for char in chars.by_ref() {
                if ('\u{40}'..='\u{7e}').contains(&char) {
                    if char == 'm' {
                        attributes.apply(&parameters);
                    }
                    return;
                }
                parameters.push(char);
            }
        }
        // A string (a hyperlink, for one) up to its terminator.
        Some(']' | 'P' | '_' | '^') => {
            let mut last = ' ';
            for char in chars.by_ref() {
                if char == '\u{7}' || (last == '\u{1b}' && char == '\\') {
                    return;
                }
                last = char;
            }
        }
        // A designation of a character set has one character more.
        Some('(' | ')' | '*' | '+') => {
            chars.next();
        }
        Some(_) | None => {}
    }
}

impl Attributes {
    fn apply(&mut self, parameters: &str) {
        let mut codes = parameters.split(';');
        while let Some(code) = codes.next() {
            match code {
                "" | "0" => *self = Self::default(),
                "2" => self.is_dim = true,
                "22" => self.is_dim = false,
                "7" => self.is_reversed = true,
                "27" => self.is_reversed = false,
                // An extended colour: its own parameters are no attributes.
                "38" | "48" | "58" => match codes.next() {
                    Some("5") => {
                        codes.next();
                    }
                    Some("2") => {
                        codes.nth(2);
                    }
                    Some(_) | None => {}
                },
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dim(styled: &str) -> String {
        let lines = styled_lines(styled);
        let cells = lines.iter().flatten().copied();
        cells.filter(|cell| cell.is_dim).map(|cell| cell.char).collect()
    }

    #[test]
    fn what_is_faint_is_told_from_what_is_not() {
        assert_eq!(dim("a\u{1b}[2mb\u{1b}[22mc\u{1b}[0;2md\u{1b}[me"), "bd");
        assert_eq!(dim("\u{1b}[7mO\u{1b}[0;2m\u{1b}[39mnce\u{1b}[0m x"), "nce");
    }

    #[test]
    fn the_parts_of_a_colour_are_no_attributes() {
        assert_eq!(dim("\u{1b}[38;2;2;7;2mx\u{1b}[38;5;2my\u{1b}[48;5;7mz"), "");
        assert_eq!(dim("\u{1b}[38;5;1;2mx"), "x");
        assert_eq!(dim("\u{1b}[38:2::1:2:3mx"), "");
    }

    #[test]
    fn attributes_run_on_over_the_end_of_a_line() {
        let lines = styled_lines("\u{1b}[2ma\nb\u{1b}[0m\nc");
        let found: Vec<(String, bool)> =
            lines.iter().map(|line| (plain(line), line.iter().all(|cell| cell.is_dim))).collect();
        let expect = [("a", true), ("b", true), ("c", false)];
        assert_eq!(found, expect.map(|(text, is_dim)| (text.to_owned(), is_dim)));
    }

    #[test]
    fn sequences_leave_no_characters_behind() {
        let text =
            "\u{1b}]8;;http://x\u{1b}\\a\u{1b}]8;;\u{7}b\u{1b}(Bc\u{e}d\u{f}\u{1b}[2Je\u{1b}";
        assert_eq!(plain(&styled_lines(text).concat()), "abcde");
    }

    #[test]
    fn a_drawn_cursor_is_reversed() {
        let line = styled_lines("\u{1b}[7mx\u{1b}[27my").concat();
        let reversed: Vec<bool> = line.iter().map(|cell| cell.is_reversed).collect();
        assert_eq!(reversed, [true, false]);
    }
}
