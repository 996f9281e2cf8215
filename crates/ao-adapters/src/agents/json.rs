//! Reads what agents tell as JSON: payloads of hooks, lines of transcripts.
//!
//! It is untrusted and changes with every version of an agent: what is missing or of another kind
//! is nothing, never an error.

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

#[cfg(test)]
mod tests {
    use super::*;

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
