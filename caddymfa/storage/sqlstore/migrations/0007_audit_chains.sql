-- What chains the rows of the audit: each line's hash covers the line before, in
-- its account or among the rows of none. Older rows stay as they are.

ALTER TABLE audit ADD COLUMN line BIGINT NOT NULL DEFAULT 0;
CREATE INDEX audit_by_actor ON audit (actor, id);

-- The end of each account's chain, and of that of no account (''). Whoever adds
-- to one holds audit_head.
CREATE TABLE audit_chains (
    account_id TEXT   NOT NULL PRIMARY KEY,
    line       BIGINT NOT NULL,
    last_id    BIGINT NOT NULL,
    hash       BYTEA  NOT NULL
);

-- Rows up to this id are older than the chains.
ALTER TABLE audit_head ADD COLUMN unchained BIGINT NOT NULL DEFAULT 0;
UPDATE audit_head SET unchained = last_id;
