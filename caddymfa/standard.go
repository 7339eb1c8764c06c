package caddymfa

// The standard guests.
import (
	_ "github.com/caddymfa/gateway/caddymfa/factor/webauthn"
	_ "github.com/caddymfa/gateway/caddymfa/identity/ldap"
	_ "github.com/caddymfa/gateway/caddymfa/identity/oidc"
	_ "github.com/caddymfa/gateway/caddymfa/notify/smtp"
	_ "github.com/caddymfa/gateway/caddymfa/storage/postgres"
	_ "github.com/caddymfa/gateway/caddymfa/storage/sqlite"
)
