-- What an account's list of people is sorted, searched and filtered by, so that
-- a page of it costs the same in an account of a hundred thousand.

-- Memberships repeat these of their people, as they do what the decision looks at.
ALTER TABLE memberships ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE memberships ADD COLUMN sought TEXT NOT NULL DEFAULT ''; -- address and name, in lower case

-- The last sign-in into the account. Sessions are forgotten after a while; this
-- is not.
ALTER TABLE memberships ADD COLUMN signed_in_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE memberships ADD COLUMN provider_id TEXT NOT NULL DEFAULT '';
ALTER TABLE memberships ADD COLUMN provider_amr TEXT NOT NULL DEFAULT '';
ALTER TABLE memberships ADD COLUMN provider_acr TEXT NOT NULL DEFAULT '';

UPDATE memberships SET
    email = (SELECT email FROM users WHERE id = user_id),
    sought = (SELECT LOWER(email || ' ' || name) FROM users WHERE id = user_id);

CREATE INDEX memberships_by_email ON memberships (account_id, email, sought, role);

-- The expression is the one of roster.go, to the letter: else no query uses it.
CREATE INDEX memberships_by_coverage ON memberships (account_id,
    (CASE WHEN state = 'invited' THEN 'invited' WHEN user_disabled = 1 THEN 'off' WHEN enrolled NOT IN ('', 'recovery') THEN 'enrolled' WHEN provider_id <> '' THEN 'provider' ELSE 'missing' END),
    email, sought, role);

-- How many members of an account stand how, from a day on.
CREATE TABLE adoption (
    account_id TEXT   NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    day        BIGINT NOT NULL,
    invited    BIGINT NOT NULL,
    off        BIGINT NOT NULL,
    enrolled   BIGINT NOT NULL,
    provider   BIGINT NOT NULL,
    missing    BIGINT NOT NULL,
    PRIMARY KEY (account_id, day)
);
