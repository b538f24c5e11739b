//! What is remembered of an answer.

use axum::{http::StatusCode, response::Response};

use crate::endpoint::Outcome;

/// What becomes of the transaction that the handler ran in.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Its writes and its answer are committed.
    Keep(Response),
    /// Its answer is committed, its writes are not: it refused the request.
    KeepAnswer(Response),
    /// Nothing is: the same request may do better another time.
    Forget(Response),
}

impl Verdict {
    pub(super) fn of(outcome: Outcome) -> Self {
        match outcome {
            // An extractor's refusal came before the handler: nothing was decided yet.
            Outcome::Rejected(response) => Self::Forget(response),
            Outcome::Answered(response) => {
                let status = response.status();
                if status.is_server_error() || is_about_this_attempt(status) {
                    Self::Forget(response)
                } else if status.is_client_error() {
                    Self::KeepAnswer(response)
                } else {
                    Self::Keep(response)
                }
            }
        }
    }
}

/// Answers about how, when or by whom it was asked, and not about what was asked.
fn is_about_this_attempt(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::TOO_EARLY
            | StatusCode::TOO_MANY_REQUESTS
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;

    fn verdict(status: u16) -> Verdict {
        let status = StatusCode::from_u16(status).unwrap();
        Verdict::of(Outcome::Answered(status.into_response()))
    }

    #[test]
    fn the_status_decides() {
        for status in [200, 201, 204, 303, 304] {
            assert!(matches!(verdict(status), Verdict::Keep(_)), "{status}");
        }
        for status in [400, 404, 409, 410, 415, 422] {
            assert!(
                matches!(verdict(status), Verdict::KeepAnswer(_)),
                "{status}"
            );
        }
        for status in [401, 403, 408, 413, 425, 429, 500, 502, 503, 504] {
            assert!(matches!(verdict(status), Verdict::Forget(_)), "{status}");
        }
    }

    #[test]
    fn what_an_extractor_refused_is_forgotten() {
        let refusal = Outcome::Rejected(StatusCode::UNPROCESSABLE_ENTITY.into_response());
        assert!(matches!(Verdict::of(refusal), Verdict::Forget(_)));
    }
}
