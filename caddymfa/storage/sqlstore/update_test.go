package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// engine is a database without tables, which only counts how transactions end.
type engine struct{ begun, committed, undone int }

func (e *engine) Connect(context.Context) (driver.Conn, error) { return e, nil }
func (e *engine) Driver() driver.Driver                        { return nil }
func (e *engine) Prepare(string) (driver.Stmt, error)          { return nil, errors.New("there are no tables") }
func (e *engine) Close() error                                 { return nil }
func (e *engine) Begin() (driver.Tx, error)                    { e.begun++; return e, nil }
func (e *engine) Commit() error                                { e.committed++; return nil }
func (e *engine) Rollback() error                              { e.undone++; return nil }

var plain = Dialect{
	Exists:  func(error) bool { return false },
	Missing: func(error) bool { return false },
}

// overtaken is an updater of a number that somebody else writes between its
// first reads and writes, so many times.
func overtaken(times int) updater[int] {
	row := 0
	return updater[int]{
		read: func(context.Context, *tx) (int, error) { return row, nil },
		write: func(_ context.Context, _ *tx, old, next int) ([]int, error) {
			if times > 0 {
				times--
				row += 10
			}
			if row != old {
				return nil, nil
			}
			row = next
			return []int{row}, nil
		},
		subject: storage.SubjectUser,
		id:      func(n int) string { return fmt.Sprint(n) },
	}
}

func TestUpdateBeginsAgainWhenOvertaken(t *testing.T) {
	var e engine
	db := sql.OpenDB(&e)
	s := New(db, db, plain)
	var told []storage.Change
	s.Watch(func(c storage.Change) { told = append(told, c) })
	calls := 0
	got, err := update(t.Context(), s, "counting", overtaken(3), func(n *int) error {
		calls++
		*n++
		return nil
	})
	if err != nil || got != 31 {
		t.Errorf("expected the change on top of the newest row, 31, got %d, %v", got, err)
	}
	if calls != 4 || e.begun != 4 || e.undone != 3 || e.committed != 1 {
		t.Errorf("expected three tries in vain and one that holds, got %d calls and %+v", calls, e)
	}
	if len(told) != 1 || told[0].ID != "31" {
		t.Errorf("expected to hear only of what was committed, got %+v", told)
	}
}

func TestUpdateGivesUp(t *testing.T) {
	var e engine
	db := sql.OpenDB(&e)
	s := New(db, db, plain)
	_, err := update(t.Context(), s, "counting", overtaken(tries), func(*int) error { return nil })
	if !errors.Is(err, storage.ErrConflict) {
		t.Errorf("expected a conflict, got %v", err)
	}
	if e.begun != tries || e.committed != 0 || e.undone != tries {
		t.Errorf("expected %d tries, all undone, got %+v", tries, e)
	}
}

func TestPlaceholders(t *testing.T) {
	numbered := Dialect{Placeholder: func(n int) string { return fmt.Sprintf("$%d", n) }}
	for query, want := range map[string]string{
		"SELECT 1":                              "SELECT 1",
		"SELECT a FROM t WHERE b = ?":           "SELECT a FROM t WHERE b = $1",
		"UPDATE t SET a = ?, b = ? WHERE c = ?": "UPDATE t SET a = $1, b = $2 WHERE c = $3",
	} {
		if got := numbered.rebind(query); got != want {
			t.Errorf("expected %q, got %q", want, got)
		}
		if got := plain.rebind(query); got != query {
			t.Errorf("expected %q as it is, got %q", query, got)
		}
	}
}

func TestUnknownWordsAreNotRead(t *testing.T) {
	var origin storage.Origin
	for _, src := range []any{"", "none", "STORE", nil, int64(0)} {
		if err := (word[storage.Origin]{&origin, parseOrigin}).Scan(src); err == nil {
			t.Errorf("%v was read as an origin", src)
		}
	}
	if name := originName(storage.FromConfig + 1); name != "" {
		t.Errorf("an origin that is none has the name %q", name)
	}
}
