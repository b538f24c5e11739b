-- enqueue
WITH job AS (
    INSERT INTO twelve.jobs (id, kind, queue, payload, max_attempts, attempts_granted, priority, tags, metadata, unique_key, until_started)
    VALUES ($1, $2, $3, $4::text::json, $5, $5, $6, $7, $8::text::json, $9, $10)
    RETURNING id, queue, priority
)
INSERT INTO twelve.ready (queue, lane, job, epoch) SELECT queue, priority, id, 0 FROM job;

-- schedule
WITH job AS (
    INSERT INTO twelve.jobs (id, kind, queue, payload, max_attempts, attempts_granted, priority, tags, metadata, unique_key, until_started, run_at)
    VALUES (
        $1, $2, $3, $4::text::json, $5, $5, $6, $7, $8::text::json, $9, $10,
        COALESCE(timestamptz 'epoch' + $11::bigint * interval '1 microsecond',
                 clock_timestamp() + $12::bigint * interval '1 microsecond')
    )
    RETURNING id, run_at
)
INSERT INTO twelve.scheduled (run_at, job, epoch) SELECT run_at, id, 0 FROM job;

-- enqueue_many
WITH job AS (
    INSERT INTO twelve.jobs (id, kind, queue, payload, max_attempts, attempts_granted, priority)
    SELECT id, $3, $4, payload::json, $5, $5, $6 FROM unnest($1::uuid[], $2::text[]) AS draft (id, payload)
    RETURNING id
)
INSERT INTO twelve.ready (queue, lane, job, epoch) SELECT $4, $6, id, 0 FROM job;

-- take
INSERT INTO twelve.unique_keys AS held (key, job, until_started, held_until)
VALUES ($1, $2, $3, clock_timestamp() + $4::bigint * interval '1 microsecond')
ON CONFLICT (key) DO UPDATE
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
)
RETURNING job;

-- pass_on
UPDATE twelve.unique_keys SET job = $2, until_started = $3, held_until = clock_timestamp() + $4::bigint * interval '1 microsecond'
WHERE key = $1;

-- replace
WITH job AS (
    UPDATE twelve.jobs
    SET epoch = epoch + 1, queue = $3, payload = $4::text::json, max_attempts = attempts + $5, attempts_granted = $5,
        priority = $6, tags = $7, metadata = $8::text::json,
        run_at = CASE WHEN $9 THEN NULL ELSE
            COALESCE(timestamptz 'epoch' + $10::bigint * interval '1 microsecond',
                     clock_timestamp() + $11::bigint * interval '1 microsecond') END
    WHERE id = $1 AND unique_key = $2
      AND (id, epoch) NOT IN (SELECT unnest(jobs), unnest(epochs) FROM twelve.claims)
    RETURNING id, epoch, queue, priority, suspect, run_at
),
later AS (
    INSERT INTO twelve.scheduled (run_at, job, epoch) SELECT run_at, id, epoch FROM job WHERE run_at IS NOT NULL
    ON CONFLICT (run_at, job) DO UPDATE SET epoch = excluded.epoch
),
now AS (
    INSERT INTO twelve.ready (queue, lane, job, epoch)
    SELECT queue, CASE WHEN suspect THEN 9 ELSE priority END, id, epoch FROM job WHERE run_at IS NULL
)
SELECT count(*) FROM job;

-- survey
SELECT line.queue, line.lane,
    (SELECT seq FROM twelve.ready
     WHERE queue = line.queue AND lane = line.lane AND seq > line.mark
     ORDER BY seq LIMIT 1) AS oldest,
    sample.*
FROM (
    SELECT last_value - (NOT is_called)::int AS number,
        pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin,
        CASE WHEN $7 THEN pg_current_xact_id()::text::bigint END AS xid,
        (SELECT GREATEST(extract(epoch FROM run_at - now()) * 1000000, 0)::bigint FROM twelve.scheduled ORDER BY run_at LIMIT 1) AS next_due_us,
        ARRAY(SELECT name::text FROM twelve.pauses WHERE what = 'kind') AS paused_kinds
    FROM twelve.tickets
) AS sample
LEFT JOIN (
    SELECT queues.name AS queue, level.lane, COALESCE(marks.mark, 0) AS mark
    FROM twelve.queues
    CROSS JOIN unnest($3::smallint[]) AS level (lane)
    LEFT JOIN unnest($4::text[], $5::smallint[], $6::bigint[]) AS marks (queue, lane, mark)
        ON marks.queue = queues.name AND marks.lane = level.lane
    WHERE (queues.name = ANY ($1)) = $2
      AND NOT EXISTS (SELECT FROM twelve.pauses WHERE what = 'queue' AND pauses.name = queues.name)
) AS line ON true;

-- promote
WITH due AS (
    DELETE FROM twelve.scheduled
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM twelve.scheduled WHERE run_at <= now() ORDER BY run_at LIMIT $1 FOR UPDATE SKIP LOCKED
    ))
    RETURNING run_at, job, epoch
),
promoted AS (
    INSERT INTO twelve.ready (queue, lane, job, epoch)
    SELECT queue, CASE WHEN suspect THEN 9 ELSE priority END, due.job, due.epoch
    FROM due
    CROSS JOIN LATERAL (
        SELECT queue, suspect, priority FROM twelve.jobs WHERE jobs.id = due.job AND jobs.epoch = due.epoch LIMIT 1
    ) AS job
    ORDER BY due.run_at
)
SELECT count(*) FROM due;

-- claim
WITH me AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true) FROM twelve.workers WHERE id = $1 FOR KEY SHARE
),
taken AS (
    DELETE FROM twelve.ready
    WHERE EXISTS (SELECT FROM me)
      AND ctid = ANY (ARRAY(
        SELECT oldest.ctid
        FROM unnest($3::text[], $4::smallint[], $5::bigint[]) AS line (queue, lane, mark)
        CROSS JOIN LATERAL (
            SELECT ctid FROM twelve.ready
            WHERE queue = line.queue AND lane = line.lane AND seq > line.mark
            ORDER BY seq
            LIMIT $6
            FOR UPDATE SKIP LOCKED
        ) AS oldest
        LIMIT $6
      ))
    RETURNING lane, seq, job, epoch
),
job AS MATERIALIZED (
    SELECT jobs.*, lane, seq, false AS is_paused
    FROM taken
    CROSS JOIN LATERAL (SELECT * FROM twelve.jobs WHERE jobs.id = taken.job AND jobs.epoch = taken.epoch LIMIT 1) AS jobs
),
claim AS (
    INSERT INTO twelve.claims (worker, id, jobs, epochs, alone)
    SELECT $1, $2, array_agg(id), array_agg(epoch), $7 FROM job WHERE NOT is_paused HAVING count(*) > 0
)
SELECT number.taken, job.id, job.epoch, job.kind, job.queue, job.payload::text, job.metadata::text,
    job.attempts, job.max_attempts, job.deferrals, job.unique_key, job.lane, job.seq
FROM (SELECT count(*) AS taken FROM taken) AS number
LEFT JOIN job ON NOT is_paused;

-- claim_and_park
WITH me AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true) FROM twelve.workers WHERE id = $1 FOR KEY SHARE
),
taken AS (
    DELETE FROM twelve.ready
    WHERE EXISTS (SELECT FROM me)
      AND ctid = ANY (ARRAY(
        SELECT oldest.ctid
        FROM unnest($3::text[], $4::smallint[], $5::bigint[]) AS line (queue, lane, mark)
        CROSS JOIN LATERAL (
            SELECT ctid FROM twelve.ready
            WHERE queue = line.queue AND lane = line.lane AND seq > line.mark
            ORDER BY seq
            LIMIT $6
            FOR UPDATE SKIP LOCKED
        ) AS oldest
        LIMIT $6
      ))
    RETURNING lane, seq, job, epoch
),
paused AS MATERIALIZED (
    SELECT name FROM twelve.pauses WHERE what = 'kind' AND name = ANY ($8::text[]) FOR KEY SHARE
),
job AS MATERIALIZED (
    SELECT jobs.*, lane, seq, kind IN (SELECT name FROM paused) AS is_paused
    FROM taken
    CROSS JOIN LATERAL (SELECT * FROM twelve.jobs WHERE jobs.id = taken.job AND jobs.epoch = taken.epoch LIMIT 1) AS jobs
),
parked AS (
    INSERT INTO twelve.parked (kind, job, epoch) SELECT kind, id, epoch FROM job WHERE is_paused
    ON CONFLICT (kind, job) DO UPDATE SET epoch = GREATEST(parked.epoch, excluded.epoch)
),
claim AS (
    INSERT INTO twelve.claims (worker, id, jobs, epochs, alone)
    SELECT $1, $2, array_agg(id), array_agg(epoch), $7 FROM job WHERE NOT is_paused HAVING count(*) > 0
)
SELECT number.taken, job.id, job.epoch, job.kind, job.queue, job.payload::text, job.metadata::text,
    job.attempts, job.max_attempts, job.deferrals, job.unique_key, job.lane, job.seq
FROM (SELECT count(*) AS taken FROM taken) AS number
LEFT JOIN job ON NOT is_paused;

-- started
DELETE FROM twelve.unique_keys
WHERE key = ANY (ARRAY(
    SELECT key FROM twelve.unique_keys
    WHERE key = ANY ($1) AND job = ANY ($2) AND until_started AND held_until IS NULL
    FOR UPDATE SKIP LOCKED
));

-- holder
SELECT job FROM twelve.unique_keys
WHERE key = $1 AND (held_until IS NULL OR held_until > clock_timestamp());

-- claims_of
SELECT id FROM twelve.claims WHERE worker = $1;

-- done_bare
WITH ended AS (
    DELETE FROM twelve.jobs WHERE id = ANY ($1) AND epoch = $2 RETURNING id
),
forgotten AS (
    DELETE FROM twelve.claims WHERE worker = $3 AND id = ANY ($4)
)
SELECT CASE WHEN count(*) = cardinality($1::uuid[]) THEN NULL ELSE COALESCE(array_agg(id), '{}') END FROM ended;

-- done
WITH ended AS (
    DELETE FROM twelve.jobs WHERE id = ANY ($1) AND epoch = $2 RETURNING *
),
forgotten AS (
    DELETE FROM twelve.claims WHERE worker = $3 AND id = ANY ($4)
),
released AS (
    DELETE FROM twelve.unique_keys AS held USING ended
    WHERE held.key = ANY (ARRAY(SELECT unique_key FROM ended))
      AND held.key = ended.unique_key AND held.job = ended.id AND held_until IS NULL
),
errors AS (
    DELETE FROM twelve.job_errors WHERE $6 = 'nothing' AND job_id = ANY ($1) AND EXISTS (SELECT FROM ended WHERE id = job_id)
),
steps AS (
    DELETE FROM twelve.job_steps WHERE $6 <> 'everything' AND job_id = ANY ($1) AND EXISTS (SELECT FROM ended WHERE id = job_id)
),
kept AS (
    INSERT INTO twelve.finished (id, epoch, created_at, finished_at, expires_at, run_at, attempts, max_attempts, attempts_granted,
        crashes, priority, suspect, state, kind, queue, payload, tags, metadata)
    SELECT id, epoch, created_at, clock_timestamp(), clock_timestamp() + $5::bigint * interval '1 microsecond', run_at,
        attempts + 1, max_attempts, attempts_granted, crashes, priority, false, 'done', kind, queue,
        CASE WHEN $6 = 'everything' THEN payload END,
        CASE WHEN $6 = 'everything' THEN tags END,
        CASE WHEN $6 = 'everything' THEN metadata END
    FROM ended WHERE $6 <> 'nothing'
)
SELECT CASE WHEN count(*) = cardinality($1::uuid[]) THEN NULL ELSE COALESCE(array_agg(id), '{}') END FROM ended;

-- forget
DELETE FROM twelve.claims WHERE worker = $1 AND id = ANY ($2);

-- again
WITH again AS (
    UPDATE twelve.jobs
    SET epoch = epoch + 1,
        attempts = attempts + $4,
        deferrals = CASE WHEN $6 = 'unavailable' THEN deferrals + 1 WHEN $6 = 'unknown_kind' THEN deferrals ELSE 0 END,
        suspect = CASE WHEN $6 IN ('unavailable', 'unknown_kind') THEN suspect ELSE false END,
        crashes = CASE WHEN $6 IN ('unavailable', 'unknown_kind') THEN crashes ELSE 0 END,
        run_at = clock_timestamp() + $5 * interval '1 microsecond'
    WHERE id = $1 AND epoch = $2
    RETURNING id, epoch, run_at, attempts + 1 - $4 AS attempt
),
later AS (
    INSERT INTO twelve.scheduled (run_at, job, epoch) SELECT run_at, id, epoch FROM again
    ON CONFLICT (run_at, job) DO UPDATE SET epoch = excluded.epoch
),
noted AS (
    INSERT INTO twelve.job_errors AS known (job_id, attempt, cause, message, worker, at)
    SELECT id, attempt, $6, $7, $3, clock_timestamp() FROM again WHERE $6 IS NOT NULL
    ON CONFLICT (job_id, attempt, cause) DO UPDATE
    SET message = excluded.message, worker = excluded.worker, at = excluded.at, times = known.times + 1
)
SELECT count(*) FROM again;

-- end
WITH ended AS (
    DELETE FROM twelve.jobs WHERE id = $1 AND epoch = $2 RETURNING *
),
released AS (
    DELETE FROM twelve.unique_keys AS held USING ended
    WHERE held.key = ANY (ARRAY(SELECT unique_key FROM ended))
      AND held.key = ended.unique_key AND held.job = ended.id AND held_until IS NULL
),
kept AS (
    INSERT INTO twelve.finished (id, epoch, created_at, finished_at, expires_at, run_at, attempts, max_attempts, attempts_granted,
        crashes, priority, suspect, state, kind, queue, payload, tags, metadata, unique_key, until_started)
    SELECT id, epoch, created_at, clock_timestamp(), clock_timestamp() + $8::bigint * interval '1 microsecond', run_at,
        attempts + $5, max_attempts, attempts_granted, 0, priority, false, $4, kind, queue, payload, tags, metadata, unique_key, until_started
    FROM ended
),
heeded AS (
    DELETE FROM twelve.cancellations WHERE job = $1 AND EXISTS (SELECT FROM ended)
),
noted AS (
    INSERT INTO twelve.job_errors AS known (job_id, attempt, cause, message, worker, at)
    SELECT id, attempts + 1, $6, $7, $3, clock_timestamp() FROM ended
    ON CONFLICT (job_id, attempt, cause) DO UPDATE
    SET message = excluded.message, worker = excluded.worker, at = excluded.at, times = known.times + 1
)
SELECT count(*) FROM ended;

-- release
WITH back AS (
    UPDATE twelve.jobs AS job
    SET epoch = job.epoch + 1
    FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS lease (job, epoch, place)
    WHERE job.id = lease.job AND job.epoch = lease.epoch AND job.id = ANY ($1)
    RETURNING job.id, job.epoch, job.queue, job.suspect, place
)
INSERT INTO twelve.ready (queue, lane, job, epoch)
SELECT queue, CASE WHEN suspect THEN 9 ELSE 0 END, id, epoch FROM back ORDER BY place;

-- release_claim
WITH given AS (
    DELETE FROM twelve.claims WHERE worker = $1 AND id = $2 RETURNING jobs, epochs
)
SELECT job, epoch FROM given CROSS JOIN LATERAL unnest(jobs, epochs) AS lease (job, epoch) ORDER BY job;

-- rescue
WITH orphan AS MATERIALIZED (
    SELECT claims.worker, claims.id AS claim, alone, job, epoch
    FROM twelve.claims CROSS JOIN LATERAL unnest(jobs, epochs) AS lease (job, epoch)
    WHERE ($1::uuid IS NULL OR claims.worker = $1)
      AND NOT EXISTS (SELECT FROM twelve.workers AS holder WHERE holder.id = claims.worker)
),
unended AS MATERIALIZED (
    SELECT orphan.* FROM orphan
    CROSS JOIN LATERAL (SELECT FROM twelve.jobs WHERE jobs.id = orphan.job AND jobs.epoch = orphan.epoch LIMIT 1) AS job
),
lost AS MATERIALIZED (
    SELECT jobs.id, unended.claim, unended.worker, $1::uuid IS NOT NULL AS died,
        $1::uuid IS NOT NULL AND unended.alone AND (SELECT count(*) = 1 FROM unended) AS was_alone
    FROM unended JOIN twelve.jobs ON jobs.id = unended.job AND jobs.epoch = unended.epoch
    WHERE jobs.id = ANY (ARRAY(SELECT job FROM unended))
    FOR UPDATE OF jobs SKIP LOCKED
),
rescued AS (
    UPDATE twelve.jobs AS job
    SET suspect = suspect OR died,
        crashes = crashes + was_alone::int,
        epoch = epoch + 1
    FROM lost WHERE job.id = lost.id AND job.id = ANY (ARRAY(SELECT id FROM lost))
    RETURNING job.*, job.attempts + 1 AS attempt, lost.worker,
        CASE WHEN was_alone THEN 'the worker died while it ran this job alone'
             WHEN died THEN 'the worker died'
             ELSE 'the worker was gone' END AS message
),
forgotten AS (
    DELETE FROM twelve.claims
    WHERE (worker, id) IN (SELECT worker, claim FROM orphan)
      AND id NOT IN (SELECT claim FROM unended WHERE job NOT IN (SELECT id FROM lost))
),
again AS (
    INSERT INTO twelve.ready (queue, lane, job, epoch)
    SELECT queue, CASE WHEN suspect THEN 9 ELSE 0 END, id, epoch FROM rescued WHERE crashes < $2 ORDER BY id
),
noted AS (
    INSERT INTO twelve.job_errors AS known (job_id, attempt, cause, message, worker, at)
    SELECT id, attempt, 'crashed', message, worker, clock_timestamp() FROM rescued
    ON CONFLICT (job_id, attempt, cause) DO UPDATE
    SET message = excluded.message, worker = excluded.worker, at = excluded.at, times = known.times + 1
)
SELECT id, kind, crashes >= $2 FROM rescued;

-- rescue_orphans
WITH orphan AS MATERIALIZED (
    SELECT claims.worker, claims.id AS claim, alone, job, epoch
    FROM twelve.claims CROSS JOIN LATERAL unnest(jobs, epochs) AS lease (job, epoch)
    WHERE ($1::uuid IS NULL OR claims.worker = $1)
      AND NOT EXISTS (SELECT FROM twelve.workers AS holder WHERE holder.id = claims.worker)
),
unended AS MATERIALIZED (
    SELECT orphan.* FROM orphan
    CROSS JOIN LATERAL (SELECT FROM twelve.jobs WHERE jobs.id = orphan.job AND jobs.epoch = orphan.epoch LIMIT 1) AS job
),
lost AS MATERIALIZED (
    SELECT jobs.id, unended.claim, unended.worker, $1::uuid IS NOT NULL AS died,
        $1::uuid IS NOT NULL AND unended.alone AND (SELECT count(*) = 1 FROM unended) AS was_alone
    FROM unended JOIN twelve.jobs ON jobs.id = unended.job AND jobs.epoch = unended.epoch
    WHERE jobs.id = ANY (ARRAY(SELECT job FROM unended))
    FOR UPDATE OF jobs SKIP LOCKED
),
rescued AS (
    UPDATE twelve.jobs AS job
    SET suspect = suspect OR died,
        crashes = crashes + was_alone::int,
        epoch = epoch + 1
    FROM lost WHERE job.id = lost.id AND job.id = ANY (ARRAY(SELECT id FROM lost))
    RETURNING job.*, job.attempts + 1 AS attempt, lost.worker,
        CASE WHEN was_alone THEN 'the worker died while it ran this job alone'
             WHEN died THEN 'the worker died'
             ELSE 'the worker was gone' END AS message
),
forgotten AS (
    DELETE FROM twelve.claims
    WHERE (worker, id) IN (SELECT worker, claim FROM orphan)
      AND id NOT IN (SELECT claim FROM unended WHERE job NOT IN (SELECT id FROM lost))
),
again AS (
    INSERT INTO twelve.ready (queue, lane, job, epoch)
    SELECT queue, CASE WHEN suspect THEN 9 ELSE 0 END, id, epoch FROM rescued WHERE crashes < $2 ORDER BY id
),
noted AS (
    INSERT INTO twelve.job_errors AS known (job_id, attempt, cause, message, worker, at)
    SELECT id, attempt, 'crashed', message, worker, clock_timestamp() FROM rescued
    ON CONFLICT (job_id, attempt, cause) DO UPDATE
    SET message = excluded.message, worker = excluded.worker, at = excluded.at, times = known.times + 1
)
SELECT id, kind, crashes >= $2 FROM rescued;

-- quarantine
WITH ended AS (
    DELETE FROM twelve.jobs WHERE id = ANY ($1) RETURNING *
),
released AS (
    DELETE FROM twelve.unique_keys AS held USING ended
    WHERE held.key = ANY (ARRAY(SELECT unique_key FROM ended))
      AND held.key = ended.unique_key AND held.job = ended.id AND held_until IS NULL
)
INSERT INTO twelve.finished (id, epoch, created_at, finished_at, run_at, attempts, max_attempts, attempts_granted,
    crashes, priority, suspect, state, kind, queue, payload, tags, metadata, unique_key, until_started)
SELECT id, epoch, created_at, clock_timestamp(), run_at, attempts, max_attempts, attempts_granted,
    crashes, priority, suspect, 'failed', kind, queue, payload, tags, metadata, unique_key, until_started
FROM ended;

-- observe
SELECT id, beat, EXISTS (
    SELECT FROM twelve.claims
    WHERE NOT EXISTS (SELECT FROM twelve.workers AS holder WHERE holder.id = claims.worker)
) AS orphans, EXISTS (SELECT FROM twelve.cancellations) AS cancellations
FROM twelve.workers;

-- beat
UPDATE twelve.workers SET beat = beat + 1, draining = $2 WHERE id = $1;

-- cancellations
SELECT job, epoch, reason FROM twelve.cancellations WHERE job = ANY ($1);

-- prune
WITH pruned AS (
    DELETE FROM twelve.finished
    WHERE id = ANY (ARRAY(
        SELECT id FROM twelve.finished
        WHERE expires_at <= now()
        ORDER BY expires_at
        LIMIT $1
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
),
errors AS (
    DELETE FROM twelve.job_errors WHERE job_id = ANY (ARRAY(SELECT id FROM pruned))
),
steps AS (
    DELETE FROM twelve.job_steps WHERE job_id = ANY (ARRAY(SELECT id FROM pruned))
),
keys AS (
    DELETE FROM twelve.unique_keys
    WHERE key = ANY (ARRAY(
        SELECT key FROM twelve.unique_keys
        WHERE held_until <= now() AND (SELECT id FROM twelve.jobs WHERE id = unique_keys.job) IS NULL
        ORDER BY held_until
        LIMIT $1
        FOR UPDATE SKIP LOCKED
    ))
)
SELECT count(*) FROM pruned;

-- forget_cancellations
DELETE FROM twelve.cancellations
WHERE at < now() - interval '1 hour'
   OR (SELECT id FROM twelve.jobs WHERE id = job) IS NULL;

-- step
SELECT result::text FROM twelve.job_steps WHERE job_id = $1 AND name = $2;

-- record
WITH held AS MATERIALIZED (
    SELECT id FROM twelve.jobs
    WHERE id = $1 AND epoch = $2
    FOR SHARE
),
recorded AS (
    INSERT INTO twelve.job_steps (job_id, name, result)
    SELECT id, $3, $4::text::json FROM held
    ON CONFLICT (job_id, name) DO NOTHING
    RETURNING job_id
)
SELECT (SELECT count(*) FROM held), (SELECT count(*) FROM recorded);
