//! What may be called what: jobs and queues, and environment variables.

/// The longest kind or queue: they are keys in both stores and labels in metrics.
const MAX_LEN: usize = 64;

/// Checks a kind, an alias or a queue.
///
/// # Errors
///
/// Says what is wrong with `text`, for the caller to place.
pub(crate) fn check_label(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
    let starts_well = text.starts_with(|letter: char| letter.is_ascii_lowercase());
    if starts_well && text.len() <= MAX_LEN && text.bytes().all(allowed) {
        return Ok(());
    }
    Err(format!(
        "`{text}` is not a name: write 1 to {MAX_LEN} of `a-z`, `0-9`, `_`, `.`, `-`, the first a letter"
    ))
}

/// Checks the name of an environment variable.
///
/// # Errors
///
/// Says what is wrong with `text`, for the caller to place.
pub(crate) fn check_variable(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
    let starts_well = text.starts_with(|letter: char| letter == '_' || letter.is_ascii_uppercase());
    if starts_well && text.bytes().all(allowed) {
        return Ok(());
    }
    Err(format!(
        "`{text}` is not the name of a variable: write `A-Z`, `0-9`, `_`, the first no digit"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_lower_case_and_starts_with_a_letter() {
        let longest = "a".repeat(MAX_LEN);
        for text in ["a", "charge_order", "billing.charge-2", &longest] {
            assert_eq!(check_label(text), Ok(()));
        }
        let too_long = "a".repeat(MAX_LEN + 1);
        for text in ["", "Charge", "charge order", "2nd", "_a", "é", &too_long] {
            let message = check_label(text).unwrap_err();
            assert!(message.starts_with(&format!("`{text}` is not a name: ")));
        }
    }

    #[test]
    fn a_variable_is_upper_case_and_starts_with_no_digit() {
        for text in ["A", "_", "PAYMENTS_URL", "_S3_KEY"] {
            assert_eq!(check_variable(text), Ok(()));
        }
        for text in ["", "payments_url", "2ND", "A-B", "A=B", "É"] {
            let message = check_variable(text).unwrap_err();
            assert!(message.starts_with(&format!("`{text}` is not the name of a variable: ")));
        }
    }
}
