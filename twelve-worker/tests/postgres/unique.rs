//! Keys of unique jobs, seen from another transaction.

use twelve_worker::{
    OnConflict, UniqueKey, Until,
    store::{
        Draft,
        conformance::{Fixture, draft},
    },
};
use uuid::Uuid;

use crate::database::fresh_database;

/// A claim releases the key of a job that is unique until it starts, unless somebody has locked it.
#[tokio::test]
async fn a_batch_that_is_rejected_has_let_go_of_every_key() {
    let it = Fixture::postgres(fresh_database().await).await;
    let keys = [1, 2].map(Uuid::from_u128);
    let draft_of = |key, on_conflict| Draft {
        unique: Some(UniqueKey {
            key,
            until: Until::Ended,
            period: None,
            on_conflict,
        }),
        ..draft()
    };
    let both = |on_conflict: [OnConflict; 2]| {
        let [one, other] = on_conflict;
        vec![draft_of(keys[0], one), draft_of(keys[1], other)]
    };
    let taken = both([OnConflict::Keep, OnConflict::Keep]);
    it.store.enqueue(taken).await.unwrap();
    for _ in 0..50 {
        for on_conflict in [
            [OnConflict::Replace, OnConflict::Reject],
            [OnConflict::Reject, OnConflict::Replace],
        ] {
            let rejected = it.store.enqueue(both(on_conflict)).await;
            assert!(rejected.unwrap_err().is_duplicate());
            let locked = sqlx::query("SELECT FROM twelve.unique_keys FOR UPDATE NOWAIT");
            let rows = locked.fetch_all(&it.db).await.unwrap();
            assert_eq!(rows.len(), 2);
        }
    }
}
