package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/api"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

const policyBody = `{"mode":"MODE","accept":[],"second_factor_age":7200,"remember":86400}`

// A program changes the policy as the page does: on what it has read, and never
// so that no administrator gets in.
func TestAProgramChangesThePolicy(t *testing.T) {
	w := newWorld(t)
	token := w.whole("acme")
	tag := func() string { return "If-Match: " + w.ok(token, "GET", "/policy", "", nil).Header().Get("ETag") }
	body := func(mode string) string { return strings.Replace(policyBody, "MODE", mode, 1) }

	// Ana can sign in with nothing: no administrator would get in.
	w.refused(w.ask(token, "PUT", "/policy", body("required"), tag()), http.StatusUnprocessableEntity, "no_administrator")
	_, err := w.admin.Store.UpdateUser(t.Context(), "ana-acme", func(u *storage.User) error {
		u.PasswordHash = "hash"
		return nil
	})
	w.must(err)
	w.refused(w.ask(token, "PUT", "/policy", body("required"), tag()), http.StatusUnprocessableEntity, "no_administrator")
	w.must(w.admin.Store.CreateFactor(t.Context(), storage.Factor{ID: "f", User: "ana-acme", Kind: mfa.TOTP, State: []byte("sealed"), Created: w.clock}, 9))

	w.refused(w.ask(token, "PUT", "/policy", body("required")), http.StatusPreconditionRequired, "precondition_required")
	old := tag()
	var p api.Policy
	answer := w.ok(token, "PUT", "/policy", body("required"), &p, old)
	if p.Mode != "required" || p.SecondFactorAge != 7200 || p.Remember != 86400 {
		t.Errorf("changed to %+v", p)
	}
	if "If-Match: "+answer.Header().Get("ETag") != tag() {
		t.Error("the answer has not the ETag of what is there now")
	}
	late := w.ask(token, "PUT", "/policy", body("optional"), old)
	w.refused(late, http.StatusPreconditionFailed, "changed")
	w.refused(w.ask(token, "DELETE", "/policy/plan", "", old), http.StatusPreconditionFailed, "changed")
	w.refused(w.ask(token, "DELETE", "/policy/trial", ""), http.StatusPreconditionRequired, "precondition_required")

	w.ok(token, "PUT", "/policy", body("optional"), nil, tag())
	day := w.clock.Add(10 * 24 * time.Hour).Format(time.RFC3339)
	with := func(mode, more string) string { return strings.Replace(body(mode), "}", ","+more+"}", 1) }
	w.ok(token, "PUT", "/policy", with("required", `"from":"`+day+`"`), &p, tag())
	if p.Mode != "optional" || p.Planned != "required" || p.PlannedAt == nil || p.PlannedAt.Format(time.RFC3339) != day {
		t.Errorf("planned %+v", p)
	}
	w.ok(token, "PUT", "/policy", with("suggested", `"trial":true`), &p, tag())
	if p.Mode != "optional" || p.Trial != "suggested" {
		t.Errorf("tried %+v", p)
	}
	w.ok(token, "DELETE", "/policy/plan", "", nil, tag())
	w.ok(token, "DELETE", "/policy/trial", "", nil, tag())
	p = api.Policy{}
	w.ok(token, "GET", "/policy", "", &p)
	if p.Planned != "" || p.Trial != "" {
		t.Errorf("taken back, and %+v", p)
	}

	for refusal, bad := range map[string]string{
		"laxer":  with("optional", `"trial":true`),
		"past":   with("required", `"from":"2020-01-01T00:00:00Z"`),
		"keys":   strings.Replace(body("required"), `"accept":[]`, `"accept":["webauthn"]`, 1),
		"short":  strings.Replace(body("required"), "7200", "1", 1),
		"minus":  strings.Replace(body("required"), "7200", "-9223372036854775808", 1),
		"longer": strings.Replace(body("required"), "86400", "9223372036854775807", 1),
	} {
		if got := w.ask(token, "PUT", "/policy", bad, tag()); got.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", refusal, got.Code, got.Body)
		}
	}
	for _, bad := range []string{`{"mode":"required"}`, body("off"), strings.Replace(body("required"), `[]`, `["sms"]`, 1), `{}`} {
		w.refused(w.ask(token, "PUT", "/policy", bad, tag()), http.StatusBadRequest, "invalid_request")
	}
	reader, id := w.token("acme", nil, admin.ScopeRead, admin.ScopeSSO, admin.ScopeAudit, admin.ScopeTokens)
	w.refused(w.ask(reader, "PUT", "/policy", body("optional"), tag()), http.StatusForbidden, "insufficient_scope")
	if beta, err := w.admin.Store.Account(t.Context(), "beta"); err != nil || beta.Policy != mfa.Suggested {
		t.Errorf("beta is %+v, %v", beta, err)
	}
	events, err := w.admin.Store.Events(t.Context(), storage.EventQuery{Account: "acme", Action: "set_policy", Limit: 10})
	w.must(err)
	if len(events) != 6 || events[0].Outcome != "ok" || events[0].Actor == "" || events[0].Actor == admin.ByToken(id) {
		t.Errorf("the audit has %d changes, the last %+v", len(events), events[0])
	}
}
