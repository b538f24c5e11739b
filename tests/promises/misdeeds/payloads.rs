//! Payloads that are large, odd, or of another release.

use super::app::{Misdeeds, SOON, errors_of, job_of};
use crate::harness::wait::{until, until_true};

const LARGE: &str = "parcels WHERE length(content) = 1 << 20";
const WITH_NUL: &str = r"parcels WHERE content = '\x610062'";

#[tokio::test]
async fn a_mebibyte_and_a_nul_arrive_as_they_were_sent() {
    let app = Misdeeds::released().await;
    let _worker = app.worker();
    app.enqueue(&["large-parcel", "nul-parcel"]).await;
    until_true("both parcels", SOON, async || {
        app.database.count("parcels").await == 2
    })
    .await;
    assert_eq!(app.database.count(LARGE).await, 1);
    assert_eq!(app.database.count(WITH_NUL).await, 1);
}

#[tokio::test]
async fn a_kind_that_nobody_knows_waits_for_somebody_who_does() {
    let app = Misdeeds::released().await;
    let _worker = app.worker();
    app.enqueue(&["stranger"]).await;
    let shown = until("an error on the stranger", SOON, async || {
        let shown = app.show("stranger").await;
        (!errors_of(&shown).is_empty()).then_some(shown)
    })
    .await;
    let message = &errors_of(&shown)[0].1;
    assert!(
        message.contains("no handler for kind `stranger`"),
        "{message}"
    );
    assert_eq!(job_of(&shown)["attempts"], 0, "{shown}");
    assert_ne!(job_of(&shown)["state"], "failed", "{shown}");
    app.expect_to_go_on().await;
}

#[tokio::test]
async fn a_payload_of_a_newer_release_is_kept_with_the_reason_after_its_attempts() {
    let app = Misdeeds::released().await;
    let _worker = app.worker();
    app.enqueue(&["newer-order"]).await;
    let shown = app.until_failed("order", SOON).await;
    let errors = errors_of(&shown);
    let says_why = |message: &str| {
        message.contains("the payload cannot be read") && message.contains("number")
    };
    assert!(
        errors.iter().all(|(_, message, _)| says_why(message)),
        "{shown}"
    );
    assert_eq!(errors.len(), 3, "one for each attempt: {shown}");
    // Nothing is lost: the newer release can have it.
    assert_eq!(job_of(&shown)["payload"]["numbers"][0], "one", "{shown}");
    app.expect_to_go_on().await;
}
