-- Which master keys have sealed secrets here. Each holds, sealed under itself, the
-- secret from which everything that must be unforgeable is derived, so that this
-- one stays when the master key is replaced.

CREATE TABLE master_keys (
    id         TEXT   NOT NULL PRIMARY KEY CHECK (id <> ''),
    secret     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT NOT NULL -- 0: seals
);

CREATE UNIQUE INDEX master_keys_sealing ON master_keys (retired_at) WHERE retired_at = 0;

-- A sealed value begins with the name of its key. What is still under a former
-- one is found without looking at all the others.
CREATE INDEX factors_by_master_key ON factors (substr(state, 1, 5), id);
CREATE INDEX tickets_by_master_key ON tickets (substr(data, 1, 5), id);
CREATE INDEX identity_providers_by_master_key ON identity_providers (substr(settings, 1, 5), id);
CREATE INDEX signing_keys_by_master_key ON signing_keys (substr(private_key, 1, 5), id);
