//! Lengths of time as people write them: `500ms`, `2s`, `15m`, `1h30m`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// Units, longest first, so that what is written is as short as what is read.
const UNITS_MS: &[(&str, u64)] =
    &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The longest one that is meant seriously: a hundred years.
const SPAN_MS_MAX: u64 = 100 * 366 * 86_400_000;

impl Span {
    /// Reads `1h30m`; `None` when it is not a length of time.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim();
        let mut total_ms: u64 = 0;
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let (number, after) = rest.split_at_checked(digits)?;
            let unit_len = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let (unit, after) = after.split_at_checked(unit_len)?;
            let &(_, unit_ms) = UNITS_MS.iter().find(|(name, _)| *name == unit)?;
            total_ms = number.parse::<u64>().ok()?.checked_mul(unit_ms)?.checked_add(total_ms)?;
            rest = after;
        }
        (total_ms <= SPAN_MS_MAX).then(|| Self(Duration::from_millis(total_ms)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest_ms = u64::try_from(self.0.as_millis()).unwrap_or(SPAN_MS_MAX);
        if rest_ms == 0 {
            return f.write_str("0s");
        }
        for (unit, unit_ms) in UNITS_MS {
            let n = rest_ms.div_euclid(*unit_ms);
            rest_ms = rest_ms.rem_euclid(*unit_ms);
            if n > 0 {
                write!(f, "{n}{unit}")?;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "`{text}` is not a length of time (write `500ms`, `2s`, `15m` or `1h30m`)"
            ))
        })
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A length of time: `500ms`, `2s`, `15m`, `1h30m`.",
            "pattern": "^([0-9]+(d|h|m|s|ms))+$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let got = Span::parse(text).map_or_else(|| "no".to_owned(), |span| span.to_string());
        assert_eq!(got, expect, "{text}");
    }

    #[test]
    fn a_length_of_time_reads_as_people_write_it() {
        check("500ms", "500ms");
        check("2s", "2s");
        check("90s", "1m30s");
        check("1h30m", "1h30m");
        check("1d", "1d");
        check("0s", "0s");
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in ["", "5", "s", "1.5s", "-2s", "2 s", "2x", "ten", "99999999999d", "1s2", "ä"] {
            check(text, "no");
        }
    }
}
