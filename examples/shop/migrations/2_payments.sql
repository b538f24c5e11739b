-- The sandbox of the payment provider: in real life another company's database.
CREATE SCHEMA payments;

-- No unique key on the order, on purpose: a double charge must be able to show.
CREATE TABLE payments.charges (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL,
    amount_cents bigint NOT NULL CHECK (amount_cents > 0),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX charges_of_an_order ON payments.charges (order_id);
