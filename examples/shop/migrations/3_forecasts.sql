CREATE TABLE forecasts (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers,
    sku text NOT NULL REFERENCES products,
    days integer NOT NULL CHECK (days BETWEEN 1 AND 365),
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'done')),
    result jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((status = 'done') = (result IS NOT NULL))
);

CREATE INDEX items_of_a_product ON order_items (sku);
