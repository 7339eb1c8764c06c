-- What keeps the cost of running a store from growing with it.

-- The few that a configuration declared, for when it no longer does.
CREATE INDEX accounts_declared ON accounts (id) WHERE origin = 'configuration' AND disabled = 0;
CREATE INDEX users_declared ON users (email) WHERE origin = 'configuration' AND disabled = 0;

-- What one node at a time does, and until when it is that node's.
CREATE TABLE leases (
    name     TEXT   NOT NULL PRIMARY KEY CHECK (name <> ''),
    holder   TEXT   NOT NULL,
    until_at BIGINT NOT NULL
);
