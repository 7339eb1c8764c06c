package web

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// auditPage is how many rows a page of the audit shows.
const auditPage = 50

func (c *call) showAudit() error {
	who, done, err := c.administer(false, "/admin/audit")
	if done || err != nil {
		return err
	}
	ask := c.r.URL.Query()
	v := AdminAudit{Chrome: c.chrome(), Form: auditForm(ask)}
	q, ok := v.Form.query()
	if !ok {
		v.Problem = ProblemAuditDate
		return c.show(http.StatusBadRequest, v)
	}
	q.Limit = auditPage
	if before, err := strconv.ParseInt(ask.Get("before"), 10, 64); err == nil && before > 0 {
		q.Before, v.Later = before, true
	}
	entries, next, err := c.s.Admin.Audit(c.r.Context(), who, q)
	if errors.Is(err, storage.ErrNotFound) {
		v.Problem = ProblemAuditPerson
		return c.show(http.StatusOK, v)
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		v.Rows = append(v.Rows, AuditRow{e})
	}
	v.Next = next
	return c.show(http.StatusOK, v)
}

// auditOutcomes are how what was done can have ended.
var auditOutcomes = []string{"ok", "refused", "failed"}

func auditForm(ask url.Values) AuditForm {
	f := AuditForm{Person: ask.Get("person"), Action: ask.Get("action"), Outcome: ask.Get("outcome"), Since: ask.Get("since"), Until: ask.Get("until")}
	if _, known := auditActions[f.Action]; !known {
		f.Action = ""
	}
	if !slices.Contains(auditOutcomes, f.Outcome) {
		f.Outcome = ""
	}
	return f
}

// query is what the form asks for; ok is whether its dates are dates.
func (f AuditForm) query() (q admin.AuditQuery, ok bool) {
	q = admin.AuditQuery{Email: f.Person, Action: f.Action, Outcome: f.Outcome}
	var err error
	if f.Since != "" {
		if q.Since, err = time.Parse(time.DateOnly, f.Since); err != nil {
			return q, false
		}
	}
	if f.Until != "" {
		if q.Until, err = time.Parse(time.DateOnly, f.Until); err != nil {
			return q, false
		}
		q.Until = q.Until.AddDate(0, 0, 1) // the day is included
	}
	return q, true
}

// exportAudit answers with all rows that were asked for, as they are read. An
// error after the first row can only break the answer off.
func (c *call) exportAudit() error {
	who, done, err := c.administer(false, "/admin/audit")
	if done || err != nil {
		return err
	}
	ask := c.r.URL.Query()
	q, ok := auditForm(ask).query()
	format := ask.Get("format")
	if !ok || format != "csv" && format != "jsonl" {
		c.message(MessageBadRequest)
		return nil
	}
	begun := false
	begin := func(kind string) {
		begun = true
		h := c.w.Header()
		h.Set("Content-Type", kind)
		h.Set("Content-Disposition", `attachment; filename="audit-`+who.Account+"."+format+`"`)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
	}
	var write func(admin.Entry) error
	finish := func() error { return nil }
	if format == "csv" {
		out := csv.NewWriter(c.w)
		write = func(e admin.Entry) error {
			if !begun {
				begin("text/csv; charset=utf-8")
				out.Write(auditColumns)
			}
			return out.Write(auditRecord(e))
		}
		finish = func() error {
			if !begun {
				begin("text/csv; charset=utf-8")
				out.Write(auditColumns)
			}
			out.Flush()
			return out.Error()
		}
	} else {
		out := json.NewEncoder(c.w)
		write = func(e admin.Entry) error {
			if !begun {
				begin("application/jsonl")
			}
			return out.Encode(e)
		}
	}
	err = c.s.Admin.ExportAudit(c.r.Context(), who, q, write)
	switch {
	case err == nil:
		if !begun && format != "csv" {
			begin("application/jsonl")
		}
		return finish()
	case errors.Is(err, storage.ErrNotFound) && !begun:
		c.message(MessageNotFound)
		return nil
	case begun:
		// What was sent so far must not pass for the whole.
		c.s.Fault(c.r, "exporting the audit", err)
		panic(http.ErrAbortHandler)
	}
	return err
}

var auditColumns = []string{"id", "at", "action", "outcome", "reason", "actor_kind", "actor", "actor_email", "user_kind", "user", "user_email", "network", "detail"}

func auditRecord(e admin.Entry) []string {
	record := []string{
		strconv.FormatInt(e.ID, 10), e.At.Format(time.RFC3339), e.Action, e.Outcome, e.Reason,
		string(e.Actor.Kind), e.Actor.Name, e.Actor.Email, string(e.User.Kind), e.User.Name, e.User.Email, e.Network, e.Detail,
	}
	for i, cell := range record {
		record[i] = harmless(cell)
	}
	return record
}

// harmless keeps a cell from being a formula: spreadsheets run what begins like
// one, and people choose their own names.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(cell)[0]) {
		return "'" + cell
	}
	return cell
}
