ALTER TABLE orders DROP CONSTRAINT orders_status_check;
ALTER TABLE orders ADD CONSTRAINT orders_status_check CHECK (status IN ('pending', 'paid', 'expired'));

-- For the schedule that looks for them every minute: few orders are pending.
CREATE INDEX pending_orders ON orders (created_at) WHERE status = 'pending';

-- No unique key, on purpose: a tick that ran twice must be able to show.
CREATE TABLE schedule_runs (
    schedule text NOT NULL,
    tick timestamptz NOT NULL,
    ran_at timestamptz NOT NULL DEFAULT now()
);
