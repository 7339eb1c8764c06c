-- What security keys and passkeys need: which kinds of second factor an account
-- counts, and whether the key that a session was opened with may be copied.

ALTER TABLE accounts ADD COLUMN accept TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN second_synced SMALLINT NOT NULL DEFAULT 0 CHECK (second_synced IN (0, 1));
