-- Mails on their way. They refer to nothing: what somebody is told must arrive
-- even if they, or the account, are gone by then.
CREATE TABLE outbox (
    id         TEXT   NOT NULL PRIMARY KEY CHECK (id <> ''),
    mail_key   TEXT   NOT NULL UNIQUE CHECK (mail_key <> ''),
    about      TEXT   NOT NULL CHECK (about <> ''),
    address    TEXT   NOT NULL CHECK (address <> ''),
    user_id    TEXT   NOT NULL,
    account_id TEXT   NOT NULL,
    data       BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    tries      BIGINT NOT NULL,
    done_at    BIGINT NOT NULL, -- 0: waiting
    failed     TEXT   NOT NULL
);

CREATE INDEX outbox_waiting ON outbox (due_at) WHERE done_at = 0;
CREATE INDEX outbox_done ON outbox (done_at) WHERE done_at <> 0;
