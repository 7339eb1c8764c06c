package sqlite

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
	"github.com/caddymfa/gateway/caddymfa/storage/sqlstore"
)

// rawHandles opens the file below the store, as the store does.
func rawHandles(t *testing.T, path string) (write, read *sql.DB) {
	t.Helper()
	if err := create(path); err != nil {
		t.Fatal(err)
	}
	write, read, err := handles(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		read.Close()
		write.Close()
	})
	if err := write.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return write, read
}

// schema returns the statements that make up a database, sorted.
func schema(t *testing.T, db *sql.DB) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var statement string
		if err := rows.Scan(&statement); err != nil {
			t.Fatal(err)
		}
		found = append(found, statement)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

func TestMigrationFromEveryVersion(t *testing.T) {
	fresh := filepath.Join(t.TempDir(), "mfa.db")
	migrated(t, fresh)
	db, _ := rawHandles(t, fresh)
	want := schema(t, db)
	for from := range sqlstore.Latest() + 1 {
		t.Run("from "+strconv.Itoa(from), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mfa.db")
			db, _ := rawHandles(t, path)
			if err := sqlstore.Migrate(t.Context(), db, dialect, from); err != nil {
				t.Fatal(err)
			}
			if from > 0 { // accounts are there from version 1
				if _, err := db.ExecContext(t.Context(), `INSERT INTO accounts
					(id, name, policy, policy_by, policy_at, disabled, origin, created_at, version)
					VALUES ('acme', 'Acme', 'required', '', 0, 0, 'store', 1, 1)`); err != nil {
					t.Fatal(err)
				}
			}
			store := opened(t, path)
			for range 2 { // the second time there is nothing to do
				if err := store.Migrate(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := schema(t, db); !slices.Equal(got, want) {
				t.Errorf("expected the schema of a new database, got %q", got)
			}
			if from > 0 {
				a, err := store.Account(t.Context(), "acme")
				if err != nil || a.Policy != mfa.Required {
					t.Errorf("the account did not survive: %+v, %v", a, err)
				}
			}
			var steps int
			if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM schema_migrations").Scan(&steps); err != nil {
				t.Fatal(err)
			}
			if steps != sqlstore.Latest() {
				t.Errorf("expected %d steps on record, got %d", sqlstore.Latest(), steps)
			}
		})
	}
}

// Members who were there before the census existed are counted by it.
func TestMigrationCountsWhoWasThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.db")
	db, _ := rawHandles(t, path)
	if err := sqlstore.Migrate(t.Context(), db, dialect, 4); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `
		INSERT INTO accounts (id, name, policy, policy_by, policy_at, disabled, origin, created_at, version)
			VALUES ('acme', 'Acme', 'required', '', 0, 0, 'store', 1, 1);
		INSERT INTO users VALUES
			('u1', 'ana@acme.example', 'Ana', 'hash', 0, 0, 'store', 1, 1),
			('u2', 'bo@partner.example', 'Bo', '', 0, 1, 'store', 1, 1);
		INSERT INTO memberships VALUES ('acme', 'u1', 'admin', 'joined', 0, 'store', 1), ('acme', 'u2', 'member', 'invited', 0, 'store', 1);
		INSERT INTO factors VALUES ('f1', 'u1', 'webauthn', '', '', 0, 1, 0, 1), ('f2', 'u1', 'totp', '', '', 0, 1, 0, 1);
		INSERT INTO recovery_codes VALUES ('c1', 'u1', '', '', 0), ('c2', 'u2', '', '', 1)`); err != nil {
		t.Fatal(err)
	}
	store := migrated(t, path)
	got, err := store.Census(t.Context(), "acme", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want := []storage.Alike{
		{Standing: storage.Standing{State: mfa.Invited, Role: mfa.RoleMember, Disabled: true, Domain: "partner.example"}, People: 1},
		{Standing: storage.Standing{State: mfa.Joined, Role: mfa.RoleAdmin, Password: true, Domain: "acme.example",
			Enrolled: mfa.KindsOf(mfa.TOTP, mfa.WebAuthn, mfa.Recovery)}, People: 1},
	}
	if !slices.Equal(got, want) {
		t.Errorf("expected %+v, got %+v", want, got)
	}
	found, err := store.Roster(t.Context(), storage.RosterQuery{Account: "acme", Search: "PARTNER.example b", Limit: 9})
	if err != nil || len(found) != 1 || found[0].User != "u2" || found[0].Coverage != storage.CoverageInvited {
		t.Errorf("expected u2, who is invited, to be found, got %+v, %v", found, err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.db")
	store := migrated(t, path)
	db, _ := rawHandles(t, path)
	newer := sqlstore.Latest() + 1
	if _, err := db.ExecContext(t.Context(), "INSERT INTO schema_migrations (version, name) VALUES (?, 'later')", newer); err != nil {
		t.Fatal(err)
	}
	err := store.Migrate(t.Context())
	if err == nil || !strings.Contains(err.Error(), "has version "+strconv.Itoa(newer)) {
		t.Errorf("expected a refusal that names version %d, got %v", newer, err)
	}
}

func TestMigrationsAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.db")
	stores := []*sqlstore.Store{opened(t, path), opened(t, path), opened(t, path)}
	results := make(chan error)
	for _, store := range stores {
		go func() { results <- store.Migrate(t.Context()) }()
	}
	for range stores {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestMigrationThatIsCancelledLeavesNothing(t *testing.T) {
	store := opened(t, filepath.Join(t.TempDir(), "mfa.db"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Migrate(ctx); err == nil {
		t.Fatal("a migration went on without its context")
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.CreateAccount(t.Context(), storage.Account{ID: "acme", Policy: mfa.Optional}); err != nil {
		t.Error(err)
	}
}

// coverage is the expression that an index is made of, as queries have it.
const coverage = `(CASE WHEN state = 'invited' THEN 'invited' WHEN user_disabled = 1 THEN 'off' WHEN enrolled NOT IN ('', 'recovery') THEN 'enrolled' WHEN provider_id <> '' THEN 'provider' ELSE 'missing' END)`

// Every query that finds rows by something other than walking a whole table
// must have an index for it.
func TestQueriesUseIndexes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.db")
	migrated(t, path)
	_, db := rawHandles(t, path)
	for _, query := range []string{
		"SELECT * FROM users WHERE email = 'x'",
		"SELECT * FROM accounts WHERE next_policy <> '' AND id > 'x' ORDER BY id LIMIT 9",
		"SELECT * FROM users WHERE email > 'x' ORDER BY email LIMIT 9",
		"SELECT * FROM memberships WHERE user_id = 'x' ORDER BY account_id",
		"SELECT * FROM memberships WHERE account_id = 'x' AND user_id > 'y' ORDER BY user_id LIMIT 9",
		"SELECT state, role, user_disabled, has_password, enrolled, domain, COUNT(*) FROM memberships WHERE account_id = 'x' " +
			"GROUP BY state, role, user_disabled, has_password, enrolled, domain ORDER BY state, role, user_disabled, has_password, enrolled, domain",
		"SELECT user_id FROM memberships WHERE account_id = 'x' AND state = 'joined' AND role = 'member' AND user_disabled = 0 " +
			"AND has_password = 1 AND enrolled = '' AND domain = 'y' AND user_id > 'z' ORDER BY user_id LIMIT 9",
		"SELECT user_id FROM memberships WHERE account_id = 'x' AND email > 'y' AND sought LIKE '%z%' AND role = 'admin' ORDER BY email LIMIT 9",
		"SELECT user_id FROM memberships WHERE account_id = 'x' AND email > 'y' AND " + coverage + " = 'missing' AND sought LIKE '%z%' ORDER BY email LIMIT 9",
		"SELECT account_id, " + coverage + ", COUNT(*) FROM memberships WHERE account_id = 'x' GROUP BY account_id, " + coverage,
		"SELECT * FROM adoption WHERE account_id = 'x' ORDER BY day DESC LIMIT 9",
		"SELECT * FROM domains WHERE name = 'x' ORDER BY account_id",
		"SELECT * FROM domains WHERE account_id = 'x' ORDER BY name",
		"SELECT * FROM identity_providers WHERE account_id = 'x' ORDER BY id",
		"SELECT * FROM factors WHERE user_id = 'x' ORDER BY created_at, id",
		"SELECT * FROM recovery_codes WHERE user_id = 'x' ORDER BY id",
		"SELECT * FROM sessions WHERE user_id = 'x' AND revoked_at = 0 AND expires_at > 1 ORDER BY created_at DESC, id DESC LIMIT 100",
		"SELECT id FROM sessions WHERE expires_at < 1 OR (revoked_at <> 0 AND revoked_at < 1) LIMIT 9",
		"SELECT purpose, id FROM tickets WHERE expires_at < 1 LIMIT 9",
		"SELECT attempt_key FROM attempts WHERE last_at < 1 LIMIT 9",
		"SELECT * FROM audit WHERE account_id = 'x' AND id < 9 ORDER BY id DESC LIMIT 9",
		"SELECT * FROM audit WHERE user_id = 'x' ORDER BY id DESC LIMIT 9",
		"SELECT * FROM audit WHERE account_id = 'x' AND user_id = 'y' AND action = 'z' ORDER BY id DESC LIMIT 9",
		"SELECT * FROM (SELECT * FROM audit WHERE actor = 'x' AND user_id <> 'x' AND account_id = 'y' ORDER BY id DESC LIMIT 9)",
		"SELECT * FROM audit WHERE account_id = 'x' AND id >= 9 ORDER BY id LIMIT 9",
		"SELECT * FROM audit_chains WHERE account_id > 'x' ORDER BY account_id LIMIT 9",
		"SELECT * FROM api_tokens WHERE hash = x'00'",
		"SELECT * FROM api_tokens WHERE account_id = 'x' AND id > 'y' ORDER BY id LIMIT 9",
		"SELECT id FROM api_tokens WHERE expires_at < 1 OR (revoked_at <> 0 AND revoked_at < 1) LIMIT 9",
		"SELECT token_id, reply_key FROM api_replies WHERE created_at < 1 LIMIT 9",
		"SELECT * FROM signing_keys WHERE purpose = 'x' ORDER BY created_at DESC, id DESC",
	} {
		rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id, parent, unused int
			var plan string
			if err := rows.Scan(&id, &parent, &unused, &plan); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE") {
				t.Errorf("%s: %s", query, plan)
			}
		}
		rows.Close()
	}
}
