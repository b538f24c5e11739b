//! Clauses that several statements share.

/// Releases the unique keys of the jobs that have `ended`, but for those that are held for a time.
///
/// Plan: the primary key, once for each key. The keys are named twice: a join alone may read the whole table.
macro_rules! released {
    () => {
        "released AS (
    DELETE FROM twelve.unique_keys AS held USING ended
    WHERE held.key = ANY (ARRAY(SELECT unique_key FROM ended))
      AND held.key = ended.unique_key AND held.job = ended.id AND held_until IS NULL
)"
    };
}

/// When the key exists already: a free key gets the new holder, any other keeps its own.
///
/// A key is free when the time for which it was held is over, and its job has ended, or started if that is enough.
macro_rules! or_its_holder {
    () => {
        "ON CONFLICT (key) DO UPDATE
SET (job, until_started, held_until) = (
    SELECT CASE WHEN is_free THEN excluded.job ELSE held.job END,
        CASE WHEN is_free THEN excluded.until_started ELSE held.until_started END,
        CASE WHEN is_free THEN excluded.held_until ELSE held.held_until END
    FROM (SELECT held.held_until <= clock_timestamp() AND NOT EXISTS (
        SELECT FROM twelve.jobs
        WHERE id = held.job AND unique_key = held.key
          AND NOT (held.until_started
              AND (attempts > 0 OR (id, epoch) IN (SELECT unnest(jobs), unnest(epochs) FROM twelve.claims)))
    )) AS it (is_free)
)"
    };
}

/// The lane of a job that has not had its turn: that of suspects, or that of its priority.
macro_rules! lane {
    () => {
        "CASE WHEN suspect THEN 9 ELSE priority END"
    };
}

/// The lane of a job whose lease was released: that of suspects, or the first.
macro_rules! lane_of_returned {
    () => {
        "CASE WHEN suspect THEN 9 ELSE 0 END"
    };
}

/// When an error is `known` already, such as that of a deferred attempt: its count is raised.
macro_rules! counted {
    () => {
        "ON CONFLICT (job_id, attempt, cause) DO UPDATE
    SET message = excluded.message, worker = excluded.worker, at = excluded.at, times = known.times + 1"
    };
}
