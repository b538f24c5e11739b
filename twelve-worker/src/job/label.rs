//! What kinds and queues may be called.

/// The longest kind or queue: they are keys of the store and labels in metrics.
const MAX_LEN: usize = 64;

/// Checks a kind, an alias or a queue; `derive(Job)` refuses the same at compile time.
///
/// # Errors
///
/// What is wrong, in lower case and without a full stop.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
    let starts_well = text.starts_with(|letter: char| letter.is_ascii_lowercase());
    if starts_well && text.len() <= MAX_LEN && text.bytes().all(allowed) {
        return Ok(());
    }
    Err(format!(
        "`{text}` is not a name: write 1 to {MAX_LEN} of `a-z`, `0-9`, `_`, `.`, `-`, the first a letter"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_lower_case_and_starts_with_a_letter() {
        for good in ["a", "charge_order", "billing.charge-2"] {
            assert_eq!(check(good), Ok(()));
        }
        for wrong in ["", "Charge", "2nd", "a b", "a\0", &"a".repeat(65)] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
