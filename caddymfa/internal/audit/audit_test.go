package audit_test

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/audit"
	"github.com/caddymfa/gateway/caddymfa/internal/seal"
	"github.com/caddymfa/gateway/caddymfa/storage"
	"github.com/caddymfa/gateway/caddymfa/storage/sqlite/sqlitetest"
)

var clock = time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)

// world is an audit, and a way past the store to its rows.
type world struct {
	*testing.T
	log audit.Log
	raw *sql.DB
}

func newWorld(t *testing.T) *world {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mfa.db")
	store := sqlitetest.At(t, path)
	raw, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	return &world{t, audit.Log{Store: store, Box: newBox(t, newMaster())}, raw}
}

func newMaster() []byte {
	master := make([]byte, seal.KeySize)
	rand.Read(master)
	return master
}

func newBox(t *testing.T, masters ...[]byte) *seal.Box {
	t.Helper()
	box, err := seal.New(masters...)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// happen appends n rows of an account, and returns the end of its chain.
func (w *world) happen(account string, n int) audit.Noted {
	w.Helper()
	var last storage.Event
	for i := range n {
		var err error
		last, err = w.log.Append(w.Context(), storage.Event{
			At: clock.Add(time.Duration(i) * time.Second), Action: "sign_in", Outcome: "ok", Account: account, User: "u1", Detail: fmt.Sprint(i),
		})
		if err != nil {
			w.Fatal(err)
		}
	}
	return audit.Noted{Line: last.Line, Hash: last.Hash}
}

func (w *world) exec(query string, args ...any) {
	w.Helper()
	if _, err := w.raw.ExecContext(w.Context(), query, args...); err != nil {
		w.Fatal(err)
	}
}

// verify goes through a chain in parts of the given size.
func (w *world) verify(account string, limit int, noted audit.Noted) audit.Part {
	w.Helper()
	var whole audit.Part
	for {
		part, err := w.log.Verify(w.Context(), account, whole.Next, limit, noted)
		if err != nil {
			w.Fatal(err)
		}
		part.Lines += whole.Lines
		part.Older += whole.Older
		if whole = part; part.Next == 0 {
			return whole
		}
	}
}

func TestChainIsWhole(t *testing.T) {
	w := newWorld(t)
	w.happen("", 3)
	w.happen("b", 4)
	end := w.happen("a", 7)
	w.happen("b", 1)
	for limit := 1; limit < 9; limit++ {
		part := w.verify("a", limit, end)
		if part.Finding != nil || part.Lines != 7 || part.End.String() != end.String() {
			t.Errorf("in parts of %d: %+v, %+v", limit, part, part.Finding)
		}
	}
	for account, want := range map[string]int{"": 3, "b": 5, "nobody": 0} {
		if part := w.verify(account, 2, audit.Noted{}); part.Finding != nil || part.Lines != want {
			t.Errorf("account %q: %+v", account, part)
		}
	}
}

// Of the seven lines of account "a", with the ids 1 to 6 and 8, somebody who can
// write to the database changes something. It is found, whatever the parts. The
// rows 7 and 9 are account b's.
func TestTamperingIsFound(t *testing.T) {
	for _, test := range []struct {
		name   string
		change string
		want   string // fault, line, upto, id
	}{
		{"nothing", `UPDATE audit SET outcome = 'ok'`, "none"},
		{"a line's words", `UPDATE audit SET outcome = 'refused' WHERE id = 3`, "altered 3 0 3"},
		{"a line's time", `UPDATE audit SET happened_at = happened_at + 1 WHERE id = 1`, "altered 1 0 1"},
		{"text moved from one field to the next", `UPDATE audit SET action = 'sign_', outcome = 'inok' WHERE id = 3`, "altered 3 0 3"},
		{"several lines", `UPDATE audit SET detail = '' WHERE id IN (4, 5, 6, 8)`, "altered 4 0 4"},
		{"the last line", `UPDATE audit SET detail = '' WHERE id = 8`, "altered 7 0 8"},
		{"a line's number", `UPDATE audit SET line = 9 WHERE id = 4`, "altered 4 0 4"},
		{"a line's hash", `UPDATE audit SET hash = zeroblob(37) WHERE id = 4`, "altered 4 0 4"},
		{"a hash cut short", `UPDATE audit SET hash = substr(hash, 1, 36) WHERE id = 4`, "altered 4 0 4"},
		{"a line made to look old", `UPDATE audit SET hash = NULL, prev_hash = NULL, line = 0 WHERE id = 4`, "altered 4 0 4"},
		{"two lines change places", `UPDATE audit SET id = 99 WHERE id = 2; UPDATE audit SET id = 2 WHERE id = 3; UPDATE audit SET id = 3 WHERE id = 99`,
			"altered 2 0 2"},
		{"the name of the key", `UPDATE audit SET hash = CAST(x'01ffffffff' || substr(hash, 6) AS BLOB) WHERE id = 2`, "unknown_key 2 0 2"},
		{"a line goes", `DELETE FROM audit WHERE id = 3`, "missing 3 3 0"},
		{"some lines go", `DELETE FROM audit WHERE id IN (2, 3, 4)`, "missing 2 4 0"},
		{"the first line goes", `DELETE FROM audit WHERE id = 1`, "missing 1 1 0"},
		{"the last lines go", `DELETE FROM audit WHERE id > 5`, "missing 6 7 0"},
		{"all lines go", `DELETE FROM audit`, "missing 1 7 0"},
		{"a line goes to another account", `UPDATE audit SET account_id = 'b' WHERE id = 3`, "missing 3 3 0"},
		{"a row between two lines", `UPDATE audit SET account_id = 'a' WHERE id = 7`, "inserted 7 0 7"},
		{"a row after the end", `UPDATE audit SET account_id = 'a' WHERE id = 9`, "inserted 8 0 9"},
		{"a copy of the last line", `UPDATE audit SET (account_id, action, outcome, user_id, detail, happened_at, line, prev_hash, hash) =
			(SELECT account_id, action, outcome, user_id, detail, happened_at, line, prev_hash, hash FROM audit WHERE id = 8) WHERE id = 9`, "inserted 8 0 9"},
		{"the end set back", `UPDATE audit_chains SET line = 5, hash = (SELECT hash FROM audit WHERE id = 5) WHERE account_id = 'a'`, "end 7 0 0"},
		{"no end", `DELETE FROM audit_chains WHERE account_id = 'a'`, "end 7 0 0"},
		{"the hash of the end", `UPDATE audit_chains SET hash = x'00' WHERE account_id = 'a'`, "end 7 0 0"},
		{"lines declared old", `UPDATE audit_head SET unchained = 99; UPDATE audit SET hash = NULL, prev_hash = NULL, line = 0 WHERE id < 4`, "missing 1 3 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.happen("a", 6)
			w.happen("b", 1)
			w.happen("a", 1)
			w.happen("b", 1)
			w.exec(test.change)
			for _, limit := range []int{1, 2, 3, 100} {
				if got := found(w.verify("a", limit, audit.Noted{}).Finding); got != test.want {
					t.Errorf("in parts of %d: expected %s, got %s", limit, test.want, got)
				}
			}
		})
	}
}

func found(f *audit.Finding) string {
	if f == nil {
		return "none"
	}
	return fmt.Sprintf("%s %d %d %d", f.Fault, f.Line, f.Upto, f.ID)
}

// cutOff removes the last two of an account's five lines, and sets everything
// back as it was with three: what the chain alone cannot tell.
func cutOff(w *world) {
	w.exec(`DELETE FROM audit WHERE account_id = 'a' AND line > 3`)
	w.exec(`UPDATE audit_chains SET (line, last_id, hash) = (SELECT line, id, hash FROM audit WHERE account_id = 'a' AND line = 3) WHERE account_id = 'a'`)
}

func TestCuttingOffTheEnd(t *testing.T) {
	t.Run("is missed in the whole when another chain has grown", func(t *testing.T) {
		w := newWorld(t)
		w.happen("a", 5)
		w.happen("b", 1)
		cutOff(w)
		if got := found(w.verify("a", 9, audit.Noted{}).Finding); got != "none" {
			t.Errorf("the chain alone cannot tell, and said %s", got)
		}
		w.complete(4, false)
	})
	t.Run("and when a chain vanished", func(t *testing.T) {
		w := newWorld(t)
		w.happen("a", 5)
		w.happen("b", 1)
		w.exec(`DELETE FROM audit WHERE account_id = 'a'; DELETE FROM audit_chains WHERE account_id = 'a'`)
		w.complete(1, false)
	})
	t.Run("is found out by an end that was noted", func(t *testing.T) {
		w := newWorld(t)
		noted := w.happen("a", 5)
		cutOff(w)
		w.exec(`UPDATE audit_head SET last_id = 3`)
		w.complete(3, true) // everything fits
		if got := found(w.verify("a", 9, noted).Finding); got != "missing 4 5 0" {
			t.Errorf("expected two missing lines, got %s", got)
		}
		w.happen("a", 4) // the gate goes on, and gives the numbers again
		for _, limit := range []int{1, 100} {
			if got := found(w.verify("a", limit, noted).Finding); got != "replaced 5 0 5" {
				t.Errorf("expected another line than was noted, got %s", got)
			}
		}
	})
}

func (w *world) complete(lines int64, want bool) {
	w.Helper()
	extent, err := w.log.Store.Extent(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	if got := audit.Complete(extent, extent, lines); got != want {
		w.Errorf("%d lines of %+v: complete %t", lines, extent, got)
	}
}

// Whoever can write to the database, but has another master key, cannot make a
// line; the former master key keeps vouching for what it hashed.
func TestKeys(t *testing.T) {
	w := newWorld(t)
	former, next := newMaster(), newMaster()
	w.log.Box = newBox(t, former)
	w.happen("a", 2)
	w.log.Box = newBox(t, next, former)
	w.happen("a", 2)
	if got := found(w.verify("a", 9, audit.Noted{}).Finding); got != "none" {
		t.Errorf("after a new master key: %s", got)
	}
	w.log.Box = newBox(t, next)
	if got := found(w.verify("a", 9, audit.Noted{}).Finding); got != "unknown_key 1 0 1" {
		t.Errorf("without the former master key: %s", got)
	}
}

// A part that ended with a line goes on from there, or says that it cannot.
func TestPartsGoOn(t *testing.T) {
	w := newWorld(t)
	w.happen("a", 5)
	w.happen("b", 1)
	w.exec(`UPDATE audit SET detail = '' WHERE id = 3`)
	part, err := w.log.Verify(t.Context(), "a", 3, 9, audit.Noted{})
	if err != nil || found(part.Finding) != "altered 3 0 3" {
		t.Errorf("from an altered line: %s, %v", found(part.Finding), err)
	}
	for _, from := range []int64{6, 99} {
		if _, err := w.log.Verify(t.Context(), "a", from, 9, audit.Noted{}); !errors.Is(err, audit.ErrResume) {
			t.Errorf("from row %d, which is not the account's: %v", from, err)
		}
	}
}

func TestOlderRows(t *testing.T) {
	w := newWorld(t)
	w.happen("a", 5)
	w.exec(`UPDATE audit SET hash = NULL, prev_hash = NULL, line = 0; DELETE FROM audit_chains; UPDATE audit_head SET unchained = last_id`)
	w.happen("a", 2)
	for limit := 1; limit < 9; limit++ {
		part := w.verify("a", limit, audit.Noted{})
		if part.Finding != nil || part.Older != 5 || part.Lines != 2 {
			t.Errorf("in parts of %d: %+v %s", limit, part, found(part.Finding))
		}
	}
	w.complete(2, true)
}

func TestNoted(t *testing.T) {
	want := audit.Noted{Line: 17, Hash: []byte{1, 0xab}}
	got, err := audit.ParseNoted(" " + want.String() + "\n")
	if err != nil || got.String() != want.String() {
		t.Errorf("expected %s, got %s, %v", want, got, err)
	}
	for _, bad := range []string{"", "17", "17:", ":ab", "0:ab", "-1:ab", "17:xy", "17:ab:cd"} {
		if got, err := audit.ParseNoted(bad); err == nil {
			t.Errorf("%q was read as %s", bad, got)
		}
	}
}
