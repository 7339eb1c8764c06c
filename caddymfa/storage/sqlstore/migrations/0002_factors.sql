-- What people prove themselves with. Secrets arrive sealed, codes hashed.

-- Which kinds there are is the program's to say; that there is one is the table's.
CREATE TABLE factors (
    id         TEXT     NOT NULL PRIMARY KEY CHECK (id <> ''),
    user_id    TEXT     NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind       TEXT     NOT NULL CHECK (kind NOT IN ('', 'none')),
    name       TEXT     NOT NULL,
    state      BYTEA    NOT NULL,
    disabled   SMALLINT NOT NULL CHECK (disabled IN (0, 1)),
    created_at BIGINT   NOT NULL,
    used_at    BIGINT   NOT NULL,
    version    BIGINT   NOT NULL
);

CREATE INDEX factors_by_user ON factors (user_id, created_at, id);

CREATE TABLE recovery_codes (
    id      TEXT   NOT NULL PRIMARY KEY CHECK (id <> ''),
    user_id TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    salt    BYTEA  NOT NULL,
    hash    BYTEA  NOT NULL,
    used_at BIGINT NOT NULL -- 0: still good
);

CREATE INDEX recovery_codes_by_user ON recovery_codes (user_id, id);
