package storagetest

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// sum stands in for a hash: it tells which line of which chain it is of, and
// which line it follows.
func sum(e storage.Event) []byte {
	prev, _, _ := strings.Cut(string(e.Prev), "<")
	return []byte(e.Account + "#" + strconv.FormatInt(e.Line, 10) + "<" + prev)
}

// happen appends rows, and returns them as the store says that they are stored.
func happen(t *testing.T, s storage.Storage, list ...storage.Event) []storage.Event {
	t.Helper()
	var stored []storage.Event
	for _, e := range list {
		stored = append(stored, value(s.AppendEvent(t.Context(), e, sum))(t))
	}
	return stored
}

// events reads the audit and returns what each row has for its detail.
func events(t *testing.T, s storage.Storage, q storage.EventQuery) []string {
	t.Helper()
	return ids(value(s.Events(t.Context(), q))(t), func(e storage.Event) string { return e.Detail })
}

var auditChecks = []check{
	{"what was appended is read back as it was returned, newest first, with growing ids", func(t *testing.T, s storage.Storage) {
		want := happen(t, s, storage.Event{
			At: now.Add(789 * time.Nanosecond), Action: "challenge", Outcome: "refused", Reason: "wrong", Actor: "u1", User: "u2", Account: "acme",
			Session: "s1", Network: "192.0.2.1", Detail: "detail",
		}, storage.Event{Action: "enrol", Outcome: "ok"})
		same(t, want[0].At, now)
		if want[0].ID != 1 || want[1].ID != 2 {
			t.Errorf("expected ids without a gap, got %d and %d", want[0].ID, want[1].ID)
		}
		same(t, value(s.Events(t.Context(), storage.EventQuery{Limit: 10}))(t), []storage.Event{want[1], want[0]})
	}},
	{"rows are selected by account, user, action and outcome, together or alone", func(t *testing.T, s storage.Storage) {
		happen(t, s, []storage.Event{
			{Account: "a", User: "u", Action: "x", Outcome: "ok", Detail: "1"},
			{Account: "a", User: "v", Action: "y", Outcome: "ok", Detail: "2"},
			{Account: "b", User: "u", Action: "y", Outcome: "refused", Detail: "3"},
			{Account: "a", User: "u", Action: "y", Outcome: "refused", Detail: "4"},
			{Detail: "5"},
		}...)
		same(t, events(t, s, storage.EventQuery{Limit: 9}), []string{"5", "4", "3", "2", "1"})
		same(t, events(t, s, storage.EventQuery{Account: "a", Limit: 9}), []string{"4", "2", "1"})
		same(t, events(t, s, storage.EventQuery{User: "u", Limit: 9}), []string{"4", "3", "1"})
		same(t, events(t, s, storage.EventQuery{Action: "y", Limit: 9}), []string{"4", "3", "2"})
		same(t, events(t, s, storage.EventQuery{Outcome: "refused", Limit: 9}), []string{"4", "3"})
		same(t, events(t, s, storage.EventQuery{Account: "a", User: "u", Action: "y", Outcome: "refused", Limit: 9}), []string{"4"})
		same(t, events(t, s, storage.EventQuery{Account: "c", Limit: 9}), []string{})
	}},
	{"a person's rows are those about them and those that they did", func(t *testing.T, s storage.Storage) {
		happen(t, s, []storage.Event{
			{Account: "a", User: "u", Actor: "u", Detail: "1"},
			{Account: "a", User: "v", Actor: "u", Action: "x", Detail: "2"},
			{Account: "a", User: "u", Actor: "operator", Detail: "3"},
			{Account: "b", User: "u", Actor: "u", Detail: "4"},
			{Account: "a", User: "v", Actor: "v", Detail: "5"},
			{Account: "a", Actor: "u", Action: "x", Detail: "6"},
		}...)
		same(t, events(t, s, storage.EventQuery{Person: "u", Limit: 9}), []string{"6", "4", "3", "2", "1"})
		same(t, events(t, s, storage.EventQuery{Account: "a", Person: "u", Limit: 9}), []string{"6", "3", "2", "1"})
		same(t, events(t, s, storage.EventQuery{Account: "a", Person: "u", Limit: 2}), []string{"6", "3"})
		same(t, events(t, s, storage.EventQuery{Account: "a", Person: "u", Before: 3, Limit: 9}), []string{"2", "1"})
		same(t, events(t, s, storage.EventQuery{Account: "a", Person: "u", Action: "x", Limit: 9}), []string{"6", "2"})
	}},
	{"rows are selected by time, from a moment on and before another", func(t *testing.T, s storage.Storage) {
		for i := range 4 {
			happen(t, s, storage.Event{At: now.Add(time.Duration(i) * time.Minute), Account: "a", Detail: strconv.Itoa(i)})
		}
		same(t, events(t, s, storage.EventQuery{Since: now.Add(time.Minute), Limit: 9}), []string{"3", "2", "1"})
		same(t, events(t, s, storage.EventQuery{Until: now.Add(time.Minute), Limit: 9}), []string{"0"})
		same(t, events(t, s, storage.EventQuery{Account: "a", Since: now.Add(time.Minute), Until: now.Add(3 * time.Minute), Limit: 9}), []string{"2", "1"})
	}},
	{"a list has pages, backwards by id", func(t *testing.T, s storage.Storage) {
		for i := range 5 {
			happen(t, s, storage.Event{Account: "a", Detail: strconv.Itoa(i)}, storage.Event{Account: "b"})
		}
		var got []string
		q := storage.EventQuery{Account: "a", Limit: 2}
		for {
			page := value(s.Events(t.Context(), q))(t)
			if len(page) == 0 {
				break
			}
			got = append(got, ids(page, func(e storage.Event) string { return e.Detail })...)
			q.Before = page[len(page)-1].ID
		}
		same(t, got, []string{"4", "3", "2", "1", "0"})
		same(t, len(value(s.Events(t.Context(), storage.EventQuery{}))(t)), 0)
	}},
	{"each account has a chain of its own, and so have the rows of none", func(t *testing.T, s storage.Storage) {
		happen(t, s, storage.Event{Account: "b"}, storage.Event{}, storage.Event{Account: "a"}, storage.Event{Account: "b"}, storage.Event{})
		for account, want := range map[string][]string{"": {"#1<", "#2<#1"}, "a": {"a#1<"}, "b": {"b#1<", "b#2<b#1"}} {
			rows := value(s.Lines(t.Context(), account, 0, 9))(t)
			same(t, ids(rows, func(e storage.Event) string { return string(e.Hash) }), want)
			last := rows[len(rows)-1]
			same(t, value(s.Chain(t.Context(), account))(t), storage.Chain{Account: account, Line: last.Line, ID: last.ID, Hash: last.Hash})
		}
		same(t, value(s.Chain(t.Context(), "c"))(t), storage.Chain{Account: "c"})
		same(t, pages(t, func(c storage.Chain) string { return c.Account }, func(ctx context.Context, after string) ([]storage.Chain, error) {
			return s.Chains(ctx, after, 1)
		}), []string{"a", "b"})
		same(t, value(s.Extent(t.Context()))(t), storage.Extent{Last: 5})
	}},
	{"the lines of a chain have pages, forwards from an id on", func(t *testing.T, s storage.Storage) {
		var want []storage.Event
		for range 3 {
			want = append(want, happen(t, s, storage.Event{Account: "a"}, storage.Event{Account: "b"})[0])
		}
		same(t, value(s.Lines(t.Context(), "a", 0, 2))(t), want[:2])
		same(t, value(s.Lines(t.Context(), "a", want[1].ID, 2))(t), want[1:])
		same(t, len(value(s.Lines(t.Context(), "a", want[2].ID+1, 2))(t)), 0)
	}},
	{"a row without a hash is refused, and leaves no gap", func(t *testing.T, s storage.Storage) {
		if _, err := s.AppendEvent(t.Context(), storage.Event{Account: "a"}, func(storage.Event) []byte { return nil }); err == nil {
			t.Error("a row was stored without a hash")
		}
		same(t, happen(t, s, storage.Event{Account: "a"})[0].ID, int64(1))
	}},
	{"a row that is refused keeps no other one out, and leaves no gap among many", func(t *testing.T, s storage.Storage) {
		for i, err := range race(rivals, func(i int) error {
			_, err := s.AppendEvent(t.Context(), storage.Event{At: now, Account: "a"}, func(e storage.Event) []byte {
				if i%10 == 0 {
					return nil
				}
				return sum(e)
			})
			return err
		}) {
			if (err != nil) != (i%10 == 0) {
				t.Errorf("row %d: %v", i, err)
			}
		}
		rows := value(s.Lines(t.Context(), "a", 0, rivals))(t)
		same(t, value(s.Extent(t.Context()))(t), storage.Extent{Last: int64(len(rows))})
		same(t, len(rows), rivals-rivals/10)
		for i, e := range rows {
			same(t, []int64{e.ID, e.Line}, []int64{int64(i + 1), int64(i + 1)})
			same(t, string(e.Hash), string(sum(e)))
		}
	}},
	{"a row is not appended for somebody who has gone", func(t *testing.T, s storage.Storage) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.AppendEvent(ctx, storage.Event{Account: "a"}, sum)
		refuses(t, err, context.Canceled)
		same(t, value(s.Extent(t.Context()))(t), storage.Extent{})
	}},
	{"nothing is lost and no line is given twice when many append", func(t *testing.T, s storage.Storage) {
		for _, err := range race(rivals, func(i int) error {
			_, err := s.AppendEvent(t.Context(), storage.Event{At: now, Account: strconv.Itoa(i % 2)}, sum)
			return err
		}) {
			must(t, err)
		}
		same(t, value(s.Extent(t.Context()))(t), storage.Extent{Last: rivals})
		for _, account := range []string{"0", "1"} {
			for i, e := range value(s.Lines(t.Context(), account, 0, rivals))(t) {
				same(t, e.Line, int64(i+1))
				same(t, string(e.Hash), string(sum(e)))
			}
			same(t, value(s.Chain(t.Context(), account))(t).Line, int64(rivals/2))
		}
	}},
}
