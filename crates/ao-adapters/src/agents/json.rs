//! Reads what agents tell as JSON: payloads of hooks, lines of transcripts.
//!
//! It is untrusted and changes with every version of an agent: what is missing or of another kind
//! is nothing, never an error.

use ao_core::ids::AgentSessionId;
use ao_core::time::Timestamp;
use serde_json::Value;

/// A JSON object; `None` for everything else.
pub(super) fn object(text: &str) -> Option<Value> {
    serde_json::from_str::<Value>(text).ok().filter(Value::is_object)
}

/// The objects of JSON lines, in their order; a line that is not a whole object is passed over.
pub(super) fn objects(lines: &str) -> impl Iterator<Item = Value> + '_ {
    lines.lines().filter_map(object)
}

/// What stands below these names.
pub(super) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |inner, name| inner.get(name))
}

/// A text that is not empty.
pub(super) fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(value, path)?.as_str().filter(|text| !text.is_empty())
}

/// A whole number that is not negative.
pub(super) fn count(value: &Value, path: &[&str]) -> Option<u64> {
    at(value, path)?.as_u64()
}

/// A moment as RFC 3339 writes it.
pub(super) fn moment(value: &Value, path: &[&str]) -> Option<Timestamp> {
    let moment: jiff::Timestamp = text(value, path)?.parse().ok()?;
    Some(Timestamp::from_millis(moment.as_millisecond()))
}

/// A moment in whole seconds since 1970.
pub(super) fn unix_seconds(value: &Value, path: &[&str]) -> Option<Timestamp> {
    let seconds = at(value, path)?.as_i64()?;
    Some(Timestamp::from_millis(seconds.checked_mul(1000)?))
}

/// Longest id of a conversation, in bytes; those that were seen are UUIDs.
const CONVERSATION_BYTES_MAX: usize = 128;

/// The conversation that a hook names in `session_id`.
///
/// What is no plain word is not taken: anything that the agent starts can send a hook, and a wrong
/// id would take the place of the one that a restore needs, and be shown to people.
pub(super) fn conversation(payload: &Value) -> Option<AgentSessionId> {
    let is_plain = |id: &&str| {
        id.len() <= CONVERSATION_BYTES_MAX
            && !id.starts_with('-')
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    text(payload, &["session_id"]).filter(is_plain).map(AgentSessionId::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_has_a_plain_id_or_none() {
        let check = |id: &str, expect: bool| {
            let found = conversation(&serde_json::json!({ "session_id": id }));
            assert_eq!(found.map(|it| it.as_str().to_owned()), expect.then(|| id.to_owned()));
        };
        check("01a204d9-e6c1-7252-aaef-4cfa9a456bc1", true);
        check("a_1", true);
        check(&"a".repeat(128), true);
        check(&"a".repeat(129), false);
        for id in ["", "--resume", "../../x", "a b", "a\nb", "a\u{1b}]0;hi\u{7}", "\u{e9}"] {
            check(id, false);
        }
    }

    #[test]
    fn what_is_not_there_is_nothing() {
        let value = object(r#"{"a":{"b":"x","e":"","n":-1,"s":7},"t":"2026-11-22T17:57:48.154Z"}"#);
        let value = value.unwrap_or_default();
        assert_eq!(text(&value, &["a", "b"]), Some("x"));
        assert_eq!((text(&value, &["a", "e"]), text(&value, &["a"])), (None, None));
        assert_eq!((count(&value, &["a", "n"]), count(&value, &["z"])), (None, None));
        let at = Timestamp::from_millis(1_795_370_268_154);
        assert_eq!((moment(&value, &["t"]), moment(&value, &["a", "b"])), (Some(at), None));
        assert_eq!(unix_seconds(&value, &["a", "s"]), Some(Timestamp::from_millis(7000)));
        assert_eq!(unix_seconds(&value, &["t"]), None);
        for text in ["", "[]", "1", "{", "null", "{}{}"] {
            assert_eq!(object(text), None, "{text}");
        }
    }

    #[test]
    fn half_a_line_is_passed_over() {
        let lines = "\":1}\n{\"n\":1}\n\n[2]\r\n{\"n\":3}\r\n{\"n\":";
        let found: Vec<_> = objects(lines).filter_map(|line| count(&line, &["n"])).collect();
        assert_eq!(found, [1, 3]);
    }
}
