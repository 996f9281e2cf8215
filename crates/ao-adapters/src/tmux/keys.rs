//! Names of keys: tmux types a name that it does not know, letter by letter.

/// Keys with a name of their own.
const NAMED: &[&str] = &[
    "BSpace", "BTab", "DC", "Down", "End", "Enter", "Escape", "Home", "IC", "Left", "NPage",
    "PPage", "PageDown", "PageUp", "Right", "Space", "Tab", "Up",
];

/// Whether tmux would press one key for this name.
pub(super) fn is_key(name: &str) -> bool {
    let mut rest = name;
    for modifier in ["C-", "M-", "S-"] {
        rest = rest.strip_prefix(modifier).filter(|rest| !rest.is_empty()).unwrap_or(rest);
    }
    let mut chars = rest.chars();
    let is_one = matches!((chars.next(), chars.next()), (Some(c), None) if c.is_ascii_graphic());
    let number = rest.strip_prefix('F').and_then(|n| n.parse::<u8>().ok());
    is_one || number.is_some_and(|n| (1..=12).contains(&n)) || NAMED.contains(&rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_keys_are_keys() {
        for key in ["Enter", "Escape", "C-c", "M-Enter", "C-M-x", "F12", "y", "1", "Up", "-"] {
            assert!(is_key(key), "{key}");
        }
        for text in ["", "Entre", "hello", "C-", "F13", "F0", "-l", "ä", "\u{1b}"] {
            assert!(!is_key(text), "{text}");
        }
    }
}
