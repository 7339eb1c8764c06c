package web

import (
	"slices"
	"strconv"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
)

// AuditForm is what the audit is asked for, as typed.
type AuditForm struct {
	Person  string
	Action  string
	Outcome string
	Since   string // dates, both included
	Until   string
}

// AdminAudit lists what happened in the account.
type AdminAudit struct {
	Chrome
	Form    AuditForm
	Rows    []AuditRow
	Next    int64 // the id that the following part begins after; 0: there is none
	Later   bool  // this is not the first part
	Problem Text
}

// Name is the view's template.
func (AdminAudit) Name() string { return "admin_audit" }

// Tab marks the page in the administration's navigation.
func (AdminAudit) Tab() string { return "audit" }

// Before is Next as it stands in an address.
func (a AdminAudit) Before() string { return strconv.FormatInt(a.Next, 10) }

// AuditAction is a choice of the form.
type AuditAction struct {
	Action string
	Text   Text
	Chosen bool
}

// Actions lists the actions that can be asked for.
func (a AdminAudit) Actions() []AuditAction {
	var list []AuditAction
	for action, text := range auditActions {
		list = append(list, AuditAction{action, text, action == a.Form.Action})
	}
	slices.SortFunc(list, func(x, y AuditAction) int { return compareKeys(x.Text.Key, y.Text.Key) })
	return list
}

func compareKeys(x, y string) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// AuditRow is a row of the audit.
type AuditRow struct{ admin.Entry }

// What says what was done.
func (r AuditRow) What() Text { return actionText(r.Action) }

// Refused reports whether it was refused.
func (r AuditRow) Refused() bool { return r.Outcome == "refused" }

// Failed reports whether it was tried, and something failed.
func (r AuditRow) Failed() bool { return r.Outcome == "failed" }

// Why says the reason; nothing if there is none.
func (r AuditRow) Why() Text { return reasonText(r.Reason) }

// By says who did it.
func (r AuditRow) By() Text { return byText(r.Actor) }

// About says whom it is about, where that is somebody else.
func (r AuditRow) About() Text {
	switch {
	case r.User == r.Actor:
	case r.User.Kind == admin.Person:
		return say("audit.about.person", "name", partyName(r.User))
	case r.User.Kind == admin.Outsider:
		return say("audit.about.outsider")
	}
	return Text{}
}
