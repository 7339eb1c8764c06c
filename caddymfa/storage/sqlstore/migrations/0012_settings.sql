-- What administrators need to choose how strict their account is.

-- Memberships repeat what the decision looks at in their people, so that how an
-- account of a hundred thousand stands can be counted along one index.

ALTER TABLE memberships ADD COLUMN user_disabled SMALLINT NOT NULL DEFAULT 0 CHECK (user_disabled IN (0, 1));
ALTER TABLE memberships ADD COLUMN has_password SMALLINT NOT NULL DEFAULT 0 CHECK (has_password IN (0, 1));
ALTER TABLE memberships ADD COLUMN enrolled TEXT NOT NULL DEFAULT '';
ALTER TABLE memberships ADD COLUMN domain TEXT NOT NULL DEFAULT '';

-- An address without its domain ends in "@" and is what is left when all other
-- characters are trimmed from its end.
UPDATE memberships SET
    user_disabled = (SELECT disabled FROM users WHERE id = user_id),
    has_password = (SELECT CASE WHEN password_hash <> '' THEN 1 ELSE 0 END FROM users WHERE id = user_id),
    domain = (SELECT SUBSTR(email, LENGTH(RTRIM(email, REPLACE(email, '@', ''))) + 1) FROM users WHERE id = user_id),
    enrolled = RTRIM(
        CASE WHEN EXISTS (SELECT 1 FROM factors WHERE factors.user_id = memberships.user_id AND kind = 'totp') THEN 'totp,' ELSE '' END ||
        CASE WHEN EXISTS (SELECT 1 FROM factors WHERE factors.user_id = memberships.user_id AND kind = 'webauthn') THEN 'webauthn,' ELSE '' END ||
        CASE WHEN EXISTS (SELECT 1 FROM recovery_codes WHERE recovery_codes.user_id = memberships.user_id AND used_at = 0) THEN 'recovery' ELSE '' END, ',');

CREATE INDEX memberships_by_standing ON memberships
    (account_id, state, role, user_disabled, has_password, enrolled, domain, user_id, snoozed_until);

-- What a mode that an account only tries would have meant to its people: once
-- for each person and outcome, so a trial never grows past its account.
CREATE TABLE trial_notes (
    account_id TEXT   NOT NULL,
    begun_at   BIGINT NOT NULL,
    user_id    TEXT   NOT NULL,
    outcome    TEXT   NOT NULL CHECK (outcome <> ''),
    first_at   BIGINT NOT NULL,
    PRIMARY KEY (account_id, begun_at, user_id, outcome),
    FOREIGN KEY (account_id, user_id) REFERENCES memberships (account_id, user_id) ON DELETE CASCADE
);

CREATE INDEX trial_notes_by_member ON trial_notes (account_id, user_id);

-- Browsers that are remembered after a second factor.
CREATE TABLE devices (
    id         TEXT   NOT NULL PRIMARY KEY CHECK (id <> ''),
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash       BYTEA  NOT NULL,
    shown_at   BIGINT NOT NULL,
    shown_by   TEXT   NOT NULL CHECK (shown_by NOT IN ('', 'none')),
    expires_at BIGINT NOT NULL,
    browser    TEXT   NOT NULL,
    network    TEXT   NOT NULL
);

CREATE INDEX devices_by_user ON devices (user_id, shown_at, id);
CREATE INDEX devices_by_expiry ON devices (expires_at);

-- The few accounts that a stricter mode is planned for.
CREATE INDEX accounts_planned ON accounts (id) WHERE next_policy <> '';
