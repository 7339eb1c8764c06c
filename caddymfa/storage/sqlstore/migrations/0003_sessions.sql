-- What is under way: sessions, and things that may be taken once.

-- The columns from first_at to second_by are the session's proof. They name a
-- provider without a foreign key: evidence stays what it was when the provider
-- goes, and the decision asks whether the account still links it.
CREATE TABLE sessions (
    id         TEXT   NOT NULL PRIMARY KEY CHECK (id <> ''),
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    account_id TEXT   REFERENCES accounts (id) ON DELETE SET NULL,
    first_at   BIGINT NOT NULL,
    first_by   TEXT   NOT NULL,
    provider   TEXT   NOT NULL,
    issuer     TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    second_at  BIGINT NOT NULL,
    second_by  TEXT   NOT NULL CHECK (second_by <> ''),
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL, -- 0: live
    browser    TEXT   NOT NULL,
    network    TEXT   NOT NULL,
    version    BIGINT NOT NULL
);

CREATE INDEX sessions_by_user ON sessions (user_id, created_at, id);
CREATE INDEX sessions_by_account ON sessions (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_by_revocation ON sessions (revoked_at) WHERE revoked_at <> 0;

CREATE TABLE tickets (
    purpose    TEXT   NOT NULL CHECK (purpose <> ''),
    id         TEXT   NOT NULL CHECK (id <> ''),
    user_id    TEXT   REFERENCES users (id) ON DELETE CASCADE,
    session_id TEXT   NOT NULL,
    data       BYTEA  NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (purpose, id)
);

CREATE INDEX tickets_by_user ON tickets (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX tickets_by_expiry ON tickets (expires_at);
