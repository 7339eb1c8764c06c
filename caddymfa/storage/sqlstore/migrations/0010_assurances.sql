-- What identity providers said of the sign-ins they vouched for, by day.

CREATE TABLE assurances (
    provider_id TEXT    NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE,
    day         BIGINT  NOT NULL,
    sign_ins    INTEGER NOT NULL,
    with_mfa    INTEGER NOT NULL,
    PRIMARY KEY (provider_id, day)
);
