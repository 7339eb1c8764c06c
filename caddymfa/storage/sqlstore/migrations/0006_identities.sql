-- What signing in through identity providers needs.

-- Which providers speak for an issuer, so that what it says about the end of a
-- sign-in finds them.
ALTER TABLE identity_providers ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
CREATE INDEX identity_providers_by_issuer ON identity_providers (issuer) WHERE issuer <> '';

-- What a provider said about the sign-in: methods, class, and its own session.
ALTER TABLE sessions ADD COLUMN provider_amr TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN provider_acr TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN provider_sid TEXT NOT NULL DEFAULT '';
CREATE INDEX sessions_by_identity ON sessions (issuer, subject) WHERE issuer <> '';

-- Who somebody is here whom an issuer calls this.
CREATE TABLE identities (
    issuer     TEXT   NOT NULL CHECK (issuer <> ''),
    subject    TEXT   NOT NULL CHECK (subject <> ''),
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);

CREATE INDEX identities_by_user ON identities (user_id, issuer, subject);
