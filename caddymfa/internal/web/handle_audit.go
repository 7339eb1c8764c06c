package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
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

// exportAudit answers with all rows that were asked for, as they are read.
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
	file := csvOf(auditColumns, auditRecord)
	if format == "jsonl" {
		file = jsonLines[admin.Entry]()
	}
	err = send(c, "audit-"+who.Account+"."+format, file, func(write func(admin.Entry) error) error {
		return c.s.Admin.ExportAudit(c.r.Context(), who, q, write)
	})
	if errors.Is(err, storage.ErrNotFound) {
		c.message(MessageNotFound)
		return nil
	}
	return err
}

var auditColumns = []string{"id", "at", "action", "outcome", "reason", "actor_kind", "actor", "actor_email", "user_kind", "user", "user_email", "network", "detail"}

func auditRecord(e admin.Entry) []string {
	return []string{
		strconv.FormatInt(e.ID, 10), e.At.Format(time.RFC3339), e.Action, e.Outcome, e.Reason,
		string(e.Actor.Kind), e.Actor.Name, e.Actor.Email, string(e.User.Kind), e.User.Name, e.User.Email, e.Network, e.Detail,
	}
}
