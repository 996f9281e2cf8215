//! Durations as people write them: `500ms`, `2s`, `5m`, `1h30m`, `2d`.

use std::time::Duration;

/// Reads a duration. A bare number is refused: nobody knows its unit.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{text}` is not a duration; write `500ms`, `2s`, `5m`, `1h30m` or `2d`");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let n_digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, tail) = rest.split_at(n_digits);
        let n_unit = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(n_unit);
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let number: u64 = digits.parse().map_err(|_not_a_number| wrong())?;
        let part = number.checked_mul(millis).ok_or_else(wrong)?;
        total = total.checked_add(Duration::from_millis(part)).ok_or_else(wrong)?;
        rest = tail;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit() {
        let check = |text: &str, millis: u64| {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        };
        check("2s", 2_000);
        check("5m", 300_000);
        check("1h30m", 5_400_000);
        check("250ms", 250);
        check("0s", 0);
        for text in ["", "5", "s", "5 s", "-1s", "1x", "99999999999999999999s", "5m5", "ä"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
