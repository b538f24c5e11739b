//! Durations as authors write them in attributes: `30s`.

/// The longest duration, a year: any typing error is longer, and no store overflows adding it to a date.
const MAX_MS: u64 = 365 * DAY_MS;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Reads a whole number and a unit into milliseconds.
///
/// # Errors
///
/// Says what is wrong with `text`, for the caller to place.
pub(crate) fn parse_ms(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let unit_ms = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => DAY_MS,
        _ => return Err(malformed(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed(text));
    }
    // Digits that do not fit are a number too large, not a malformed one.
    let number: u64 = digits.parse().unwrap_or(u64::MAX);
    match number.saturating_mul(unit_ms) {
        0 => Err(format!("`{text}` is not more than zero")),
        1..=MAX_MS => Ok(number * unit_ms),
        _ => Err(format!("`{text}` is longer than 365d")),
    }
}

fn malformed(text: &str) -> String {
    format!(
        "`{text}` is not a duration: write a whole number and one of `ms`, `s`, `m`, `h`, `d`, as in `30s`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        assert_eq!(parse_ms("250ms"), Ok(250));
        assert_eq!(parse_ms("30s"), Ok(30_000));
        assert_eq!(parse_ms("2m"), Ok(120_000));
        assert_eq!(parse_ms("1h"), Ok(3_600_000));
        assert_eq!(parse_ms("365d"), Ok(31_536_000_000));
    }

    #[test]
    fn anything_else_is_malformed() {
        for text in [
            "", "s", "30", "30 s", " 30s", "-1s", "+1s", "1.5s", "1h30m", "30S", "30sec", "３s",
        ] {
            assert_eq!(parse_ms(text), Err(malformed(text)));
        }
    }

    #[test]
    fn a_duration_is_more_than_zero_and_at_most_a_year() {
        assert_eq!(parse_ms("0s").unwrap_err(), "`0s` is not more than zero");
        for text in ["366d", "99999999999999999999ms", "18446744073709551615d"] {
            let message = parse_ms(text).unwrap_err();
            assert_eq!(message, format!("`{text}` is longer than 365d"));
        }
    }
}
