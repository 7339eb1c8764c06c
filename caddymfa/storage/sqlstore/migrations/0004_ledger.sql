-- What was counted, what happened, and the keys of this installation.

CREATE TABLE attempts (
    attempt_key   TEXT   NOT NULL PRIMARY KEY CHECK (attempt_key <> ''),
    consecutive   BIGINT NOT NULL,
    window_at     BIGINT NOT NULL,
    rolling       BIGINT NOT NULL,
    last_at       BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL
);

CREATE INDEX attempts_by_last ON attempts (last_at);

-- The audit outlives what it is about, so it refers to nothing. A row may carry
-- its own hash and that of the row before.
CREATE TABLE audit (
    id          BIGINT NOT NULL PRIMARY KEY,
    happened_at BIGINT NOT NULL,
    action      TEXT   NOT NULL,
    outcome     TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    actor       TEXT   NOT NULL,
    user_id     TEXT   NOT NULL,
    account_id  TEXT   NOT NULL,
    session_id  TEXT   NOT NULL,
    network     TEXT   NOT NULL,
    detail      TEXT   NOT NULL,
    prev_hash   BYTEA,
    hash        BYTEA
);

CREATE INDEX audit_by_account ON audit (account_id, id);
CREATE INDEX audit_by_user ON audit (user_id, id);
CREATE INDEX audit_by_action ON audit (action, id);
CREATE INDEX audit_by_time ON audit (happened_at);

-- The one row from which the audit's ids are taken. Whoever adds to the audit
-- holds it until the commit, so ids become visible in their order, and a reader
-- who has seen one will never find a smaller one appear later.
CREATE TABLE audit_head (
    one     SMALLINT NOT NULL PRIMARY KEY CHECK (one = 1),
    last_id BIGINT   NOT NULL
);

INSERT INTO audit_head (one, last_id) VALUES (1, 0);

CREATE TABLE signing_keys (
    id          TEXT   NOT NULL PRIMARY KEY CHECK (id <> ''),
    purpose     TEXT   NOT NULL,
    algorithm   TEXT   NOT NULL,
    public_key  BYTEA  NOT NULL,
    private_key BYTEA  NOT NULL,
    created_at  BIGINT NOT NULL,
    retired_at  BIGINT NOT NULL -- 0: signs
);

CREATE INDEX signing_keys_by_purpose ON signing_keys (purpose, created_at, id);

-- Of many nodes that make a purpose's key at once, one wins.
CREATE UNIQUE INDEX signing_keys_signing ON signing_keys (purpose) WHERE retired_at = 0;
