package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// victim names the environment variable under which the test binary does not
// test but writes into the file it holds, until it is killed.
const victim = "MFA_SQLITE_TEST_VICTIM"

func TestMain(m *testing.M) {
	if path := os.Getenv(victim); path != "" {
		if err := writeForever(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func victimUser(n int) string { return "u" + strconv.Itoa(n) }

// writeForever says the number of each user on a line of its own, once the
// store has acknowledged the user and that their one recovery code was spent.
func writeForever(path string) error {
	ctx := context.Background()
	store, err := Open(ctx, path)
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	at := time.Unix(1_800_000_000, 0)
	for n := 0; ; n++ {
		id := victimUser(n)
		if err := store.CreateUser(ctx, storage.User{ID: id, Email: id, Created: at}); err != nil {
			return err
		}
		if err := store.ReplaceRecoveryCodes(ctx, id, []storage.RecoveryCode{{ID: id, User: id}}); err != nil {
			return err
		}
		if err := store.UseRecoveryCode(ctx, id, id, at); err != nil {
			return err
		}
		if _, err := fmt.Println(n); err != nil {
			return err
		}
	}
}

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.db")
	writer := exec.CommandContext(t.Context(), os.Args[0])
	writer.Env = append(os.Environ(), victim+"="+path)
	writer.Stderr = os.Stderr
	out, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	const enough = 100
	acknowledged := 0
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		acknowledged++
		if acknowledged == enough {
			if err := writer.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := writer.Wait(); err == nil {
		t.Error("the writer ended by itself")
	}
	if acknowledged < enough {
		t.Fatalf("the writer came to %d of %d", acknowledged, enough)
	}
	store := migrated(t, path)
	for n := range acknowledged {
		id := victimUser(n)
		if _, err := store.User(t.Context(), id); err != nil {
			t.Errorf("an acknowledged user is lost: %v", err)
		}
		codes, err := store.RecoveryCodesOf(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if len(codes) != 1 || codes[0].Used.IsZero() {
			t.Errorf("a spent recovery code is good again: %+v", codes)
		}
	}
	// The file is as good to write as to read.
	id := "afterwards"
	if err := store.CreateUser(t.Context(), storage.User{ID: id, Email: id}); err != nil {
		t.Error(err)
	}
}

// What a power loss leaves behind cannot be tried here. That each commit reaches
// the disk is SQLite's to do; that it was told to is checked.
func TestCommitsReachTheDisk(t *testing.T) {
	write, read := rawHandles(t, filepath.Join(t.TempDir(), "mfa.db"))
	for _, c := range []struct {
		pragma, want string
	}{
		{"journal_mode", "wal"},
		{"synchronous", "2"}, // FULL
		{"foreign_keys", "1"},
		{"busy_timeout", "10000"},
		{"query_only", "0"},
	} {
		var got string
		if err := write.QueryRowContext(t.Context(), "PRAGMA "+c.pragma).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != c.want {
			t.Errorf("expected %s to be %s for the writer, got %s", c.pragma, c.want, got)
		}
	}
	if _, err := read.ExecContext(t.Context(), "CREATE TABLE t (x)"); err == nil {
		t.Error("a connection for reading wrote")
	}
}
