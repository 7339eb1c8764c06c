// Package caddymfa is a Caddy module that puts multi-factor authentication in
// front of a portal for many accounts, each with a policy of its own. It holds
// what Caddy itself sees: the app "mfa", the handlers "mfa" (guards) and
// "mfa_pages" (serves), the Caddyfile's option and directive, the admin endpoint
// and the command line. Everything else is in the packages below.
//
// # The map
//
//	app.go            the app: configuration, provisioning, start, stop
//	config.go         every option, with its manual
//	caddyfile*.go     the same options in the Caddyfile
//	node.go           the open store, which outlives reloads
//	housekeeping.go   what is done from time to time, without a request
//	masters.go        where the master key comes from, and its replacement
//	gate.go           what serving a request needs; judging one request
//	guard.go          http.handlers.mfa: pass, or answer
//	pages.go          http.handlers.mfa_pages: hands over to internal/web; forward-auth
//	public.go         which paths anybody may reach
//	identity.go       headers and placeholders for the app; what clients may not send
//	response.go       keeps the app from touching the gate's cookies
//	hash.go           password hashes, as Caddy makes them
//	audit.go          what happened, as a row and as a log line
//	metrics.go        everything that is counted
//	companies.go      declared domains and identity providers, and their kinds
//	mail.go           what carries mails, and what they tell people
//	demonstrate.go    accounts and people to try it with
//	admin.go          admin.api.mfa
//	command*.go       `caddy mfa`, which speaks to it
//	standard.go       the guests that come along
//
//	mfa/              the words, and the one rule (Decide); standard library only
//	storage/          the contract of every store; storagetest is its other half
//	  sqlstore/       the SQL that engines share, and its migrations
//	  sqlite/         one file: the guest mfa.storage.sqlite
//	  postgres/       one database for several nodes: the guest
//	                  mfa.storage.postgres; postgrestest runs servers for tests
//	factor/           the contracts of second factors: codes, and keys
//	  totp/           authenticator apps
//	  webauthn/       security keys and passkeys: the guest mfa.factors.webauthn
//	identity/         the contract of identity providers
//	  ldap/           Active Directory: the guest mfa.identity.ldap
//	  oidc/           OpenID Connect: the guest mfa.identity.oidc; idptest is a provider for tests
//	notify/           the contract of what carries mails
//	  smtp/           a mail server: the guest mfa.notifiers.smtp; smtptest is one for tests
//	internal/
//	  audit/          the chain of what happened, and whether it is whole
//	  api/            what an account's own programs may do, with tokens
//	  mail/           the outbox: what is mailed, once each
//	  facts/          what the rule may look at, from memory or storage
//	  login/          what a person does to get in and to care for credentials
//	  session/        tokens, signing keys, cookies
//	  limit/          how often something may be tried
//	  seal/           secrets at rest, and keys derived from the master key
//	  web/            pages, forms, texts, and answers to what may not pass
//	  admin/          what an account's administrators do
//	  settings/       how an account's MFA settings change
//	  trial/          what a mode that is only tried would have meant
//	  operate/        what operators declare and do
//	  adminapi/       the same over HTTP, for the admin endpoint
//	  freeport/       ports for servers of tests
//	integration/      tests over the built program; fleet has those of several
//	                  nodes; gatetest is what both share
//
// Imports go one way: mfa knows nobody; contracts know mfa; guests know their
// contract and Caddy; internal knows contracts, not Caddy; this package knows
// them all.
//
// # The way of a guarded request
//
//  1. guard.go ServeHTTP removes whatever passes for our identity headers, and
//     lets public paths (public.go) through.
//  2. gate.go judge reads the cookie; login Open has session verify the token
//     (once, then it is remembered), renews it when it is due, and gets the
//     session's row.
//  3. facts Gather adds person, account, membership and domain: from memory, or
//     from storage on a miss.
//  4. mfa.Decide says what happens.
//  5. Allowed: identity.go tells the app who it is, and the next handler gets the
//     request. Anything else: web Refuse answers. An error anywhere: 503.
//
// # The way of an answer to a challenge
//
//  1. pages.go hands over to web ServeHTTP, which opens the session and reads the
//     form: its size, its origin, its token.
//  2. web postTOTP calls login Answer.
//  3. limit Try counts the try before anything is looked at.
//  4. storage UpdateFactor opens the sealed state, has factor Verify judge the
//     code, and writes what it returns, if nobody else did meanwhile: a code is
//     spent once.
//  5. storage ReplaceSession gives the session a new id and the new evidence; the
//     browser gets a token for it.
//  6. web proceed asks mfa.Decide what is still missing, and sends the person
//     there, or to where they were going.
//
// No page leads to another one, and no place but mfa.Decide tests a policy.
package caddymfa
