CREATE TABLE person (
    id          uuid PRIMARY KEY,
    name        text NOT NULL,
    preferences jsonb NOT NULL,
    version     bigint NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX person_by_name ON person (lower(name), id);
