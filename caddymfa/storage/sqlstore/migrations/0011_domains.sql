-- What an administrator needs who proves domains and connects providers.

-- What the last look at DNS found, since when the proof of a verified domain has
-- been missing, and who changed the claim last.
ALTER TABLE domains ADD COLUMN finding TEXT NOT NULL DEFAULT '';
ALTER TABLE domains ADD COLUMN missing_at BIGINT NOT NULL DEFAULT 0; -- 0: it is there
ALTER TABLE domains ADD COLUMN changed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE domains ADD COLUMN changed_by TEXT NOT NULL DEFAULT '';
ALTER TABLE domains ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
CREATE INDEX domains_by_check ON domains (checked_at) WHERE verified = 1;

-- When somebody signed in through the provider as a test of its settings.
ALTER TABLE identity_providers ADD COLUMN tested_at BIGINT NOT NULL DEFAULT 0; -- 0: not since they changed
ALTER TABLE identity_providers ADD COLUMN tested_by TEXT NOT NULL DEFAULT '';
ALTER TABLE identity_providers ADD COLUMN changed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE identity_providers ADD COLUMN changed_by TEXT NOT NULL DEFAULT '';
ALTER TABLE identity_providers ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
