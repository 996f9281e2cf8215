//! What stands around a pasted prompt when Claude tells it.
//!
//! A paste of more than three line breaks or 800 characters is told between two lines of its own,
//! and what looks like such a line in the paste itself is told with a backslash.

/// How the first of these lines begins.
const OPENING: &str = "<pasted_content id=\"";

/// How the last of them begins.
const CLOSING: &str = "</pasted_content id=\"";

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
