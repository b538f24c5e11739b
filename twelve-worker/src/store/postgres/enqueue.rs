//! Adding jobs.

use sqlx::PgConnection;
use twelve_core::{Db, Error};

use super::{failed, insert, unique};
use crate::job::{
    draft::{Draft, Due},
    enqueued::Enqueued,
};

/// How many jobs one statement adds.
const CHUNK: usize = 1000;

/// Plan: the primary key.
const LIST_QUEUES: &str = "
INSERT INTO twelve.queues (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING";

pub(super) async fn list_queues(db: &Db, queues: &[String]) -> Result<(), Error> {
    let listed = sqlx::query(LIST_QUEUES).bind(queues).execute(db).await;
    listed.map_err(failed)?;
    Ok(())
}

pub(super) async fn enqueue(db: &Db, drafts: Vec<Draft>) -> Result<Vec<Enqueued>, Error> {
    match &*drafts {
        [draft] if draft.unique.is_none() => {
            insert::one(draft)?.execute(db).await.map_err(failed)?;
            return Ok(vec![Enqueued::new(draft.id)]);
        }
        many if many.len() <= CHUNK && are_alike(many) => {
            insert::several(many).execute(db).await.map_err(failed)?;
            return Ok(many.iter().map(|draft| Enqueued::new(draft.id)).collect());
        }
        _ => {}
    }
    let mut transaction = db.begin().await?;
    match enqueue_in(transaction.limited_connection()?, drafts).await {
        Ok(enqueued) => {
            transaction.commit().await?;
            Ok(enqueued)
        }
        Err(error) => {
            // Whoever hears of a duplicate may go on at once, and must find the other keys free.
            let _ = transaction.rollback().await;
            Err(error)
        }
    }
}

pub(super) async fn enqueue_in(
    connection: &mut PgConnection,
    drafts: Vec<Draft>,
) -> Result<Vec<Enqueued>, Error> {
    // Keys are taken in their own order, so that two batches that share some do not deadlock.
    let mut drafts: Vec<(usize, Draft)> = drafts.into_iter().enumerate().collect();
    drafts.sort_by_key(|(_, draft)| draft.unique.as_ref().map(|unique| unique.key));
    let (places, drafts): (Vec<usize>, Vec<Draft>) = drafts.into_iter().unzip();
    let mut enqueued = Vec::with_capacity(drafts.len());
    let alike = drafts.chunk_by(|one, next| is_plain(one) && is_plain(next) && is_like(one, next));
    for chunk in alike.flat_map(|alike| alike.chunks(CHUNK)) {
        if chunk.len() > 1 {
            let added = insert::several(chunk).execute(&mut *connection).await;
            added.map_err(failed)?;
            enqueued.extend(chunk.iter().map(|draft| Enqueued::new(draft.id)));
            continue;
        }
        for draft in chunk {
            enqueued.push(match &draft.unique {
                Some(key) => unique::enqueue(connection, draft, key).await?,
                None => insert::add(connection, draft).await?,
            });
        }
    }
    let mut answers: Vec<_> = places.into_iter().zip(enqueued).collect();
    answers.sort_unstable_by_key(|(place, _)| *place);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

/// Do they fit into one [`ENQUEUE_MANY`](insert::ENQUEUE_MANY)?
fn are_alike(drafts: &[Draft]) -> bool {
    drafts.first().is_some_and(|first| {
        drafts
            .iter()
            .all(|draft| is_plain(draft) && is_like(first, draft))
    })
}

fn is_plain(draft: &Draft) -> bool {
    draft.due == Due::Now
        && draft.unique.is_none()
        && draft.tags.is_empty()
        && draft.metadata.is_none()
}

fn is_like(one: &Draft, other: &Draft) -> bool {
    one.kind == other.kind
        && one.queue == other.queue
        && one.max_attempts == other.max_attempts
        && one.priority == other.priority
}
