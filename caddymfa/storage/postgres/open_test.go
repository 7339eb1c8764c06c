package postgres

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// That each write waits for the disk, whatever the database is set to, is
// checked here.
func TestCommitsReachTheDisk(t *testing.T) {
	for set, want := range map[string]string{
		"off": "on", "local": "on", "remote_write": "on", "on": "on", "remote_apply": "remote_apply",
	} {
		dsn := empty(t)
		db := rawHandle(t, dsn)
		database := column(t, db, "SELECT current_database()")[0]
		if _, err := db.ExecContext(t.Context(), fmt.Sprintf("ALTER DATABASE %s SET synchronous_commit = %s", database, set)); err != nil {
			t.Fatal(err)
		}
		// What a transaction was set to when it wrote is told by a trigger.
		store := opened(t, dsn)
		if err := store.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), `CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN NEW.detail := current_setting('synchronous_commit') || ' ' || current_setting('transaction_isolation'); RETURN NEW; END $$;
			CREATE TRIGGER note BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION note()`); err != nil {
			t.Fatal(err)
		}
		if _, err := store.AppendEvent(t.Context(), storage.Event{At: time.Now(), Action: "test", Outcome: "ok"},
			func(storage.Event) []byte { return []byte("hash") }); err != nil {
			t.Fatal(err)
		}
		rows, err := store.Events(t.Context(), storage.EventQuery{Limit: 1})
		if err != nil || len(rows) != 1 || rows[0].Detail != want+" read committed" {
			t.Errorf("with %s, expected a write under %s, got %+v, %v", set, want, rows, err)
		}
	}
}

func TestADatabaseThatIsNotUTF8IsRefused(t *testing.T) {
	c := running(t)
	if err := c.Exec("postgres", `CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'`); err != nil {
		t.Fatal(err)
	}
	store, err := Open(t.Context(), options(c.DSN("latin")))
	if err == nil {
		store.Close()
		t.Fatal("it was opened")
	}
	if !strings.Contains(err.Error(), "LATIN1") || !strings.Contains(err.Error(), "ENCODING 'UTF8'") {
		t.Errorf("expected what is wrong and what to do, got %v", err)
	}
}

func TestADatabaseThatIsNotThereIsNamed(t *testing.T) {
	dsn := running(t).DSN("nowhere")
	store, err := Open(t.Context(), options(dsn))
	if err == nil {
		store.Close()
		t.Fatal("it was opened")
	}
	if !strings.Contains(err.Error(), "nowhere on 127.0.0.1") {
		t.Errorf("expected the place in the error, got %v", err)
	}
}

// TestADeadlockIsTriedAgain has two transactions wait for one another: both are
// done in the end.
func TestADeadlockIsTriedAgain(t *testing.T) {
	dsn := ready(t)
	store := opened(t, dsn)
	db := rawHandle(t, dsn)
	for _, id := range []string{"a", "b"} {
		if err := store.CreateUser(t.Context(), storage.User{ID: id, Email: id, Created: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	other, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Rollback()
	if _, err := other.ExecContext(t.Context(), `SET LOCAL deadlock_timeout = '1h'; UPDATE users SET name = 'other' WHERE id = 'b'`); err != nil {
		t.Fatal(err)
	}
	calls := 0
	done := make(chan error, 1)
	locked := make(chan struct{}, 9)
	go func() {
		_, err := store.UpdateUser(t.Context(), "a", func(u *storage.User) error {
			calls++
			locked <- struct{}{}
			u.Email = "b" // its unique index has "b" already, and waits whether that stays
			return nil
		})
		done <- err
	}()
	<-locked
	// The other transaction wants "a" while the store's waits for "b".
	waited := make(chan error, 1)
	go func() {
		_, err := other.ExecContext(t.Context(), `UPDATE users SET email = 'c' WHERE id = 'b'`)
		if err == nil {
			_, err = other.ExecContext(t.Context(), `UPDATE users SET name = 'other' WHERE id = 'a'`)
		}
		if err == nil {
			err = other.Commit()
		}
		waited <- err
	}()
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	u, err := store.User(t.Context(), "a")
	if err != nil || u.Email != "b" || u.Name != "other" {
		t.Errorf("expected both changes, got %+v, %v", u, err)
	}
	if calls < 2 {
		t.Errorf("there was no deadlock: the change ran %d times", calls)
	}
}
