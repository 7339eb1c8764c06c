package web

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/audit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// auditedWorld is administered with an audit that is written.
func auditedWorld(t *testing.T) *world {
	t.Helper()
	w, _ := administered(t)
	rows := audit.Log{Store: w.store, Box: w.Login.Box}
	w.Admin.Record = func(ctx context.Context, e storage.Event) {
		if _, err := rows.Append(ctx, e); err != nil {
			t.Error(err)
		}
	}
	return w
}

// happens writes a row of an account's audit.
func (w *world) happens(e storage.Event) {
	w.t.Helper()
	e.At = w.now()
	w.Admin.Record(w.t.Context(), e)
}

// body is the last answer as it was sent, and not as a page is read.
func (b *browser) body(path string) (*http.Response, string) {
	b.w.t.Helper()
	r := httptest.NewRequest("GET", b.origin+path, nil)
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	rec := httptest.NewRecorder()
	b.w.ServeHTTP(rec, r, b.site)
	resp := rec.Result()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return resp, string(text)
}

// lacks expects the last page not to say these words.
func (b *browser) lacks(words ...string) {
	b.w.t.Helper()
	for _, word := range words {
		if strings.Contains(b.page, word) {
			b.w.t.Errorf("says %q:\n%s", word, b.page)
		}
	}
}

func TestTheAuditPageShowsWhatWasAskedFor(t *testing.T) {
	w := auditedWorld(t)
	w.staff("u-lee", "Lee", mfa.RoleMember, "beta")
	w.happens(storage.Event{Action: "sign_in", Outcome: "ok", Actor: "u-lee", User: "u-lee", Account: "beta", Network: "198.51.100.1"})
	w.pass(24 * time.Hour)
	w.happens(storage.Event{Action: "set_policy", Outcome: "ok", Actor: "u-kim", Account: "beta", Network: "198.51.100.2"})
	w.happens(storage.Event{Action: "mail", Outcome: "failed", Actor: "housekeeping", Account: "beta", Network: "198.51.100.3"})
	w.pass(24 * time.Hour)
	w.happens(storage.Event{Action: "enter", Outcome: "refused", Actor: "u-bea", User: "u-bea", Account: "beta", Network: "198.51.100.4"})
	w.happens(storage.Event{Action: "sign_in", Outcome: "ok", Actor: "u-bea", Account: "acme", Network: "198.51.100.5"})

	all := []string{"198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4"}
	b := w.as("u-kim", "beta", true)
	for query, want := range map[string][]string{
		"":                                    all,
		"?person=U-Lee@Partner.example":       all[:1],
		"?action=set_policy":                  all[1:2],
		"?action=nothing":                     all, // what cannot be chosen is not chosen
		"?outcome=failed":                     all[2:3],
		"?outcome=refused":                    all[3:],
		"?outcome=odd":                        all,
		"?since=2026-03-02":                   all[1:],
		"?until=2026-03-02":                   all[:3], // the day is included
		"?since=2026-03-02&until=2026-03-02":  all[1:3],
		"?since=2026-03-03&action=set_policy": nil,
		"?before=-1":                          all,
		"?account=acme":                       all,
	} {
		b.shows(b.get("/.mfa/admin/audit"+query), http.StatusOK)
		for _, network := range append(all[:4:4], "198.51.100.5") {
			shown := strings.Contains(b.page, network)
			wanted := strings.Contains(strings.Join(want, " "), network)
			if shown != wanted {
				t.Errorf("%s: the row from %s is shown: %t", query, network, shown)
			}
		}
		if want == nil {
			b.shows(b.get("/.mfa/admin/audit"+query), http.StatusOK, "Nothing that fits")
		}
	}
	b.get("/.mfa/admin/audit?outcome=failed&action=mail&since=2026-03-01&person=u-lee@partner.example")
	for _, kept := range []string{`value="failed" selected`, `value="mail" selected`, `value="2026-03-01"`, `value="u-lee@partner.example"`} {
		if !strings.Contains(b.page, kept) {
			t.Errorf("the form has not kept %s:\n%s", kept, b.page)
		}
	}
}

func TestTheAuditPageSaysWhatItCannotFind(t *testing.T) {
	w := auditedWorld(t)
	b := w.as("u-kim", "beta", true)
	b.shows(b.get("/.mfa/admin/audit?since=yesterday&person=kim@partner.example"), http.StatusBadRequest,
		"Give dates as year, month and day", `value="yesterday"`, `value="kim@partner.example"`)
	for _, nobody := range []string{"bea@acme.example", "nobody@partner.example", "no address"} { // acme's, nobody's, none
		b.shows(b.get("/.mfa/admin/audit?person="+strings.ReplaceAll(nobody, " ", "+")), http.StatusOK,
			"Nobody in this account has that e-mail address", `value="`+nobody+`"`)
	}
	for _, query := range []string{"?format=xls", "?format=csv&since=yesterday", ""} {
		b.shows(b.get("/.mfa/admin/audit/export"+query), http.StatusBadRequest)
	}
	b.shows(b.get("/.mfa/admin/audit/export?format=csv&person=bea@acme.example"), http.StatusNotFound)
	if len(w.faults) != 0 {
		t.Errorf("faults: %q", w.faults)
	}
}

func TestTheAuditPageHasParts(t *testing.T) {
	w := auditedWorld(t)
	for i := range 2*auditPage + 1 {
		w.happens(storage.Event{Action: "sign_in", Outcome: "ok", Account: "beta", Detail: fmt.Sprintf("row %03d.", i)})
		w.happens(storage.Event{Action: "sign_in", Outcome: "ok", Account: "acme", Detail: "not beta's"})
	}
	b := w.as("u-kim", "beta", true)
	at, seen := "/.mfa/admin/audit?action=sign_in", 0
	for at != "" {
		b.shows(b.get(at), http.StatusOK)
		b.lacks("not beta's")
		rows := strings.Count(b.page, "row ")
		if seen += rows; rows == 0 || rows > auditPage {
			t.Fatalf("%s shows %d rows", at, rows)
		}
		first := seen == auditPage
		if strings.Contains(b.page, ">Newest<") == first {
			t.Errorf("%s leads back to the newest: %t", at, !first)
		}
		next := ""
		for _, part := range strings.Split(b.page, `href="`)[1:] {
			if href, rest, _ := strings.Cut(part, `"`); strings.HasPrefix(rest, ">Older<") {
				next = href
			}
		}
		at = next
	}
	if seen != 2*auditPage+1 {
		t.Errorf("%d rows were seen", seen)
	}
}

// The exports hold every row that fits, and nothing that a spreadsheet would run.
func TestTheAuditIsExported(t *testing.T) {
	w := auditedWorld(t)
	w.staff("u-lee", `=HYPERLINK("https://evil.example")`, mfa.RoleMember, "beta")
	const many = 2*auditPage + 7
	for range many {
		w.happens(storage.Event{Action: "sign_in", Outcome: "ok", Actor: "u-lee", User: "u-lee", Account: "beta", Network: "198.51.100.1", Session: "secret-session"})
	}
	w.happens(storage.Event{Action: "set_policy", Outcome: "ok", Actor: "u-kim", Account: "beta", Detail: "@mode"})
	w.happens(storage.Event{Action: "sign_in", Outcome: "ok", Actor: "u-bea", Account: "acme", Detail: "not beta's"})
	b := w.as("u-kim", "beta", true)

	resp, text := b.body("/.mfa/admin/audit/export?format=csv&since=2026-01-01")
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) != 1+many+2 { // the columns, and that it is exported
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	h := resp.Header
	if h.Get("Content-Type") != "text/csv; charset=utf-8" || h.Get("Content-Disposition") != `attachment; filename="audit-beta.csv"` ||
		h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("got %v", h)
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@") {
				t.Errorf("a cell is a formula: %q", cell)
			}
		}
	}
	if rows[1][2] != "export_audit" || rows[2][12] != "'@mode" || rows[3][6] != `'=HYPERLINK("https://evil.example")` || rows[3][7] != "u-lee@partner.example" {
		t.Errorf("got %q", rows[:4])
	}

	resp, lines := b.body("/.mfa/admin/audit/export?format=jsonl&action=sign_in&person=u-lee@partner.example")
	if resp.Header.Get("Content-Type") != "application/jsonl" || resp.Header.Get("Content-Disposition") != `attachment; filename="audit-beta.jsonl"` {
		t.Errorf("got %v", resp.Header)
	}
	n := 0
	for line := range strings.Lines(lines) {
		var e admin.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Action != "sign_in" || e.Actor.ID != "u-lee" {
			t.Fatalf("%q: %v", line, err)
		}
		n++
	}
	if n != many {
		t.Errorf("%d lines", n)
	}
	for _, leak := range []string{"not beta's", "secret-session"} {
		if strings.Contains(text+lines, leak) {
			t.Errorf("an export says %q", leak)
		}
	}
	// What nothing fits is a file, too.
	if _, text := b.body("/.mfa/admin/audit/export?format=csv&action=lock"); !strings.HasPrefix(text, "id,at,action,") || strings.Count(text, "\n") != 1 {
		t.Errorf("got %q", text)
	}
	if resp, text := b.body("/.mfa/admin/audit/export?format=jsonl&action=lock"); resp.StatusCode != http.StatusOK || text != "" {
		t.Errorf("got %d %q", resp.StatusCode, text)
	}
}

// failing is a store whose audit breaks off while it is read.
type failing struct {
	storage.Storage
	parts int
}

func (f *failing) Events(ctx context.Context, q storage.EventQuery) ([]storage.Event, error) {
	if f.parts--; f.parts < 0 {
		return nil, errors.New("the disk is gone")
	}
	return f.Storage.Events(ctx, q)
}

// A part of the audit must not pass for the whole.
func TestAnExportThatFailsIsBrokenOff(t *testing.T) {
	w := auditedWorld(t)
	for range 600 {
		w.happens(storage.Event{Action: "sign_in", Outcome: "ok", Account: "beta"})
	}
	b := w.as("u-kim", "beta", true)
	w.Admin.Store = &failing{w.store, 1}
	func() {
		defer func() {
			if got := recover(); got != http.ErrAbortHandler {
				t.Errorf("the answer was not broken off: %v", got)
			}
		}()
		b.body("/.mfa/admin/audit/export?format=jsonl")
	}()
	w.Admin.Store = &failing{w.store, 0}
	if resp, _ := b.body("/.mfa/admin/audit/export?format=jsonl"); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Content-Disposition") != "" {
		t.Errorf("got %d %v", resp.StatusCode, resp.Header)
	}
	if len(w.faults) != 2 {
		t.Errorf("faults: %q", w.faults)
	}
}
