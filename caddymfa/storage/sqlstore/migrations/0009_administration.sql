-- What an account's administrators decide besides the mode, and what a session
-- needs for it.

-- Ages are microseconds; 0: none. A mode is empty where there is none.
ALTER TABLE accounts ADD COLUMN next_policy TEXT NOT NULL DEFAULT '' CHECK (next_policy IN ('', 'optional', 'suggested', 'required'));
ALTER TABLE accounts ADD COLUMN next_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN next_by TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN trial_policy TEXT NOT NULL DEFAULT '' CHECK (trial_policy IN ('', 'optional', 'suggested', 'required'));
ALTER TABLE accounts ADD COLUMN trial_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN second_factor_age BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN remember BIGINT NOT NULL DEFAULT 0;

ALTER TABLE identity_providers ADD COLUMN trust TEXT NOT NULL DEFAULT 'precedence' CHECK (trust IN ('precedence', 'verify', 'stack'));

-- More of a session's proof.
ALTER TABLE sessions ADD COLUMN provider_second_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN break_glass TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN remembered_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN remembered_by TEXT NOT NULL DEFAULT 'none' CHECK (remembered_by <> '');
