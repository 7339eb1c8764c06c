-- Who there is, and who belongs where.

CREATE TABLE accounts (
    id         TEXT     NOT NULL PRIMARY KEY CHECK (id <> ''),
    name       TEXT     NOT NULL,
    policy     TEXT     NOT NULL CHECK (policy IN ('optional', 'suggested', 'required')),
    policy_by  TEXT     NOT NULL,
    policy_at  BIGINT   NOT NULL,
    disabled   SMALLINT NOT NULL CHECK (disabled IN (0, 1)),
    origin     TEXT     NOT NULL CHECK (origin IN ('store', 'configuration')),
    settings   TEXT     NOT NULL DEFAULT '{}', -- JSON; for options that need no column of their own
    created_at BIGINT   NOT NULL,
    version    BIGINT   NOT NULL
);

CREATE TABLE users (
    id                  TEXT     NOT NULL PRIMARY KEY CHECK (id <> ''),
    email               TEXT     NOT NULL UNIQUE,
    name                TEXT     NOT NULL,
    password_hash       TEXT     NOT NULL,
    password_changed_at BIGINT   NOT NULL,
    disabled            SMALLINT NOT NULL CHECK (disabled IN (0, 1)),
    origin              TEXT     NOT NULL CHECK (origin IN ('store', 'configuration')),
    created_at          BIGINT   NOT NULL,
    version             BIGINT   NOT NULL
);

CREATE TABLE memberships (
    account_id    TEXT   NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    user_id       TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role          TEXT   NOT NULL CHECK (role IN ('member', 'admin')),
    state         TEXT   NOT NULL CHECK (state IN ('invited', 'joined')),
    snoozed_until BIGINT NOT NULL,
    origin        TEXT   NOT NULL CHECK (origin IN ('store', 'configuration')),
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (account_id, user_id)
);

CREATE INDEX memberships_by_user ON memberships (user_id, account_id);

-- Settings are the provider's own, sealed where secret.
CREATE TABLE identity_providers (
    id         TEXT     NOT NULL PRIMARY KEY CHECK (id <> ''),
    account_id TEXT     NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    kind       TEXT     NOT NULL,
    name       TEXT     NOT NULL,
    settings   BYTEA    NOT NULL,
    disabled   SMALLINT NOT NULL CHECK (disabled IN (0, 1)),
    origin     TEXT     NOT NULL CHECK (origin IN ('store', 'configuration')),
    created_at BIGINT   NOT NULL,
    UNIQUE (account_id, id)
);

-- The reference names account and provider together, so that a domain can never
-- lead to another account's provider.
CREATE TABLE domains (
    account_id  TEXT     NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name        TEXT     NOT NULL CHECK (name <> ''),
    verified    SMALLINT NOT NULL CHECK (verified IN (0, 1)),
    enforce     SMALLINT NOT NULL CHECK (enforce IN (0, 1)),
    provider_id TEXT,
    token       TEXT     NOT NULL,
    origin      TEXT     NOT NULL CHECK (origin IN ('store', 'configuration')),
    created_at  BIGINT   NOT NULL,
    checked_at  BIGINT   NOT NULL,
    PRIMARY KEY (account_id, name),
    FOREIGN KEY (account_id, provider_id) REFERENCES identity_providers (account_id, id)
);

CREATE INDEX domains_by_name ON domains (name, account_id);
CREATE INDEX domains_by_provider ON domains (account_id, provider_id);
