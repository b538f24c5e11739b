-- The answers of requests that carried an idempotency key.
-- A row exists only once its request is done: what is in flight is known by an advisory lock, which no crash can leave behind.
CREATE TABLE twelve.idempotency_keys (
    scope         text NOT NULL,
    key           text NOT NULL,
    -- SHA-256 of the request; another request with the same key is refused.
    fingerprint   bytea NOT NULL,
    status        smallint NOT NULL,
    header_names  text[] NOT NULL,
    header_values bytea[] NOT NULL,
    body          bytea NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    -- The arbiter: whatever goes wrong before, one key is answered once.
    PRIMARY KEY (scope, key)
);

-- Pruning reads the oldest of the expired rows, and nothing else.
CREATE INDEX idempotency_keys_expires_at ON twelve.idempotency_keys (expires_at);
