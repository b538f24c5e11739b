CREATE TABLE customers (
    id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE,
    -- SHA-256 of the token: whoever reads this table cannot order in a customer's name.
    token_hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE products (
    sku text PRIMARY KEY,
    name text NOT NULL,
    price_cents bigint NOT NULL CHECK (price_cents > 0)
);

CREATE TABLE orders (
    -- A version 7 UUID: ids rise with time, so pages follow the primary key.
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'paid')),
    total_cents bigint NOT NULL,
    charge_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((status = 'paid') = (charge_id IS NOT NULL))
);

CREATE INDEX orders_of_a_customer ON orders (customer_id, id DESC);

CREATE TABLE order_items (
    order_id uuid NOT NULL REFERENCES orders,
    sku text NOT NULL REFERENCES products,
    quantity integer NOT NULL CHECK (quantity > 0),
    price_cents bigint NOT NULL,
    PRIMARY KEY (order_id, sku)
);

INSERT INTO products (sku, name, price_cents) VALUES
    ('tea', 'Green tea, 100 g', 690),
    ('coffee', 'Coffee beans, 250 g', 890),
    ('cup', 'Stoneware cup', 1450);
