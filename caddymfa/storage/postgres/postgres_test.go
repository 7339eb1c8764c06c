package postgres

import (
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/caddymfa/gateway/caddymfa/storage"
	"github.com/caddymfa/gateway/caddymfa/storage/postgres/postgrestest"
	"github.com/caddymfa/gateway/caddymfa/storage/storagetest"
)

// cluster is shared by all tests that do not break it.
var cluster = sync.OnceValues(func() (*postgrestest.Cluster, error) {
	return postgrestest.Start("fsync=off", "full_page_writes=off")
})

func TestMain(m *testing.M) {
	code := m.Run()
	if c, err := cluster(); err == nil {
		c.Close()
	}
	os.Exit(code)
}

func running(t *testing.T) *postgrestest.Cluster {
	t.Helper()
	c, err := cluster()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// empty returns the DSN of a new database without tables.
func empty(t *testing.T) string {
	t.Helper()
	c := running(t)
	name, err := c.Create()
	if err != nil {
		t.Fatal(err)
	}
	return c.DSN(name)
}

// shared is one database with the newest schema.
var shared struct {
	once sync.Once
	dsn  string
	conn *pgx.Conn
}

// ready returns the DSN of a database with the newest schema, and nothing in it
// that a migration has not put there.
func ready(t *testing.T) string {
	t.Helper()
	shared.once.Do(func() {
		shared.dsn = empty(t)
		if err := opened(t, shared.dsn).Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		var err error
		if shared.conn, err = pgx.Connect(t.Context(), shared.dsn); err != nil {
			t.Fatal(err)
		}
		if _, err := shared.conn.Exec(t.Context(), `CREATE SCHEMA pristine; CREATE TABLE pristine.audit_head AS TABLE audit_head`); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := shared.conn.Exec(t.Context(), `SET session_replication_role = replica; -- no foreign keys
		DO $$ DECLARE name TEXT; BEGIN
			FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_migrations' LOOP
				EXECUTE 'DELETE FROM ' || quote_ident(name);
			END LOOP;
			INSERT INTO audit_head TABLE pristine.audit_head;
		END $$`); err != nil {
		t.Fatal(err)
	}
	return shared.dsn
}

func options(dsn string) Options {
	return Options{DSN: dsn, Connections: 8, ConnectTimeout: 2 * time.Second, Timeout: 20 * time.Second, Log: slog.New(slog.DiscardHandler)}
}

// opened opens a database, which is closed when the test ends.
func opened(t *testing.T, dsn string) *Store { return openedWith(t, options(dsn)) }

func openedWith(t *testing.T, o Options) *Store {
	t.Helper()
	store, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func TestContract(t *testing.T) {
	store := opened(t, ready(t))
	storagetest.Run(t, func(t *testing.T) storage.Storage {
		ready(t)
		return store
	})
}

// Behind a pooler, what is prepared on one connection is not there on the next.
func TestContractWithoutPreparedStatements(t *testing.T) {
	o := options(ready(t))
	o.ListenDSN = o.DSN
	store := openedWith(t, o)
	storagetest.Run(t, func(t *testing.T) storage.Storage {
		ready(t)
		return store
	})
}

func TestFeed(t *testing.T) {
	dsn := ready(t)
	here, there := opened(t, dsn), opened(t, dsn)
	storagetest.RunFeed(t, func(t *testing.T) (_, _ storage.Storage) {
		ready(t)
		return here, there
	})
}
