-- What an account's own programs show, and what they were answered.

CREATE TABLE api_tokens (
    id         TEXT   NOT NULL PRIMARY KEY CHECK (id <> ''),
    account_id TEXT   NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name       TEXT   NOT NULL,
    hash       BYTEA  NOT NULL UNIQUE,
    scopes     TEXT   NOT NULL, -- separated by spaces, and so are networks
    networks   TEXT   NOT NULL,
    created_by TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL,
    used_from  TEXT   NOT NULL,
    revoked_at BIGINT NOT NULL -- 0: it was not
);

CREATE INDEX api_tokens_by_account ON api_tokens (account_id, id);
CREATE INDEX api_tokens_by_expiry ON api_tokens (expires_at);
CREATE INDEX api_tokens_by_revocation ON api_tokens (revoked_at) WHERE revoked_at <> 0;

CREATE TABLE api_replies (
    token_id   TEXT   NOT NULL REFERENCES api_tokens (id) ON DELETE CASCADE,
    reply_key  TEXT   NOT NULL CHECK (reply_key <> ''),
    request    BYTEA  NOT NULL,
    status     BIGINT NOT NULL, -- 0: still being carried out
    body       BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (token_id, reply_key)
);

CREATE INDEX api_replies_by_age ON api_replies (created_at);
