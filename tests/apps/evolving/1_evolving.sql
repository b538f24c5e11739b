CREATE TABLE things (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO things SELECT number, 'thing ' || number FROM generate_series(1, 20) AS number;

CREATE TYPE mood AS ENUM ('calm', 'merry');
CREATE TYPE spot AS (x int, y int);
CREATE TABLE feelings (mood mood NOT NULL, spot spot NOT NULL);
INSERT INTO feelings VALUES ('calm', '(1,2)');

-- No unique key, on purpose: what was done twice must be able to show.
CREATE TABLE effects (name text NOT NULL);
CREATE TABLE completed (name text NOT NULL, attempt bigint NOT NULL);
