-- One row per acknowledged write of a drill: what was acknowledged must be here afterwards, once.
CREATE TABLE ledger (
    id         uuid PRIMARY KEY,
    seq        bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    client     text NOT NULL,
    node       text NOT NULL,
    server     text,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX ledger_by_client ON ledger (client, seq);
