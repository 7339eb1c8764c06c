// Package sqlstore implements [storage.Storage] over database/sql, for any
// engine that a [Dialect] describes. It imports no driver and does not know
// Caddy: a guest such as storage/sqlite opens the database and says how the
// engine differs.
//
// The queries keep to what SQLite and PostgreSQL share. Times are stored as
// microseconds since 1970 in UTC, with 0 for the zero time; yes and no as 1 and
// 0; the words of package mfa by their names, under CHECK constraints, so that a
// word that means nothing can be neither written nor read.
//
// Every write is one transaction in transact (tx.go). Every change to a row
// that others may be changing too goes through update (update.go).
package sqlstore
