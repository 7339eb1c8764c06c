package api_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/api"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// documentedOp is an operation as the document has it.
type documentedOp struct {
	id, method, path string
	scope            admin.Scope // empty: open
	body             string      // a body that is as it should be; empty: none
	tagged           bool        // a write that needs If-Match
}

// sample is the path with a name put in for each of its parameters.
func (o documentedOp) sample(name string) string {
	segments := strings.Split(o.path, "/")
	for i, s := range segments {
		if strings.HasPrefix(s, "{") {
			segments[i] = name
		}
	}
	return strings.Join(segments, "/")
}

// bodies holds a body for every operation that wants one.
var bodies = map[string]string{
	"claimDomain":     `{"name":"new.acme.example"}`,
	"invitePerson":    `{"email":"new@acme.example","role":"member"}`,
	"setRole":         `{"role":"admin"}`,
	"connectProvider": providerBody, "setProvider": providerBody,
	"disableProvider": `{"disabled":true}`,
	"linkDomain":      `{"provider":""}`,
	"enforceDomain":   `{"enforced":false}`,
	"setPolicy":       `{"mode":"optional","accept":[],"second_factor_age":3600,"remember":0}`,
}

// documented reads the operations from the document that is served.
func documented(t *testing.T, w *world) []documentedOp {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string                      `json:"operationId"`
			Security    []map[string][]admin.Scope  `json:"security"`
			RequestBody json.RawMessage             `json:"requestBody"`
			Parameters  []struct{ Name, In string } `json:"parameters"`
		} `json:"paths"`
	}
	w.ok("", "GET", "/openapi.json", "", &doc)
	var list []documentedOp
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			o := doc.Paths[path][method]
			op := documentedOp{id: o.OperationID, method: strings.ToUpper(method), path: path, body: bodies[o.OperationID]}
			if (op.body == "") != (o.RequestBody == nil) {
				t.Errorf("%s: a body is documented, or one is in the test, but not both", op.id)
			}
			for _, p := range o.Parameters {
				op.tagged = op.tagged || p.Name == "If-Match"
			}
			if len(o.Security) > 0 {
				op.scope = o.Security[0]["token"][0]
			}
			list = append(list, op)
		}
	}
	if len(list) < 5 {
		t.Fatalf("only %d operations are documented", len(list))
	}
	return list
}

// checker holds requests and answers to the document that is served, with another
// implementation of JSON Schema than the one that made it.
type checker struct {
	*world
	document map[string]any
	compiler *jsonschema.Compiler
	seen     map[string]bool // operations that succeeded
}

func newChecker(w *world) *checker {
	w.Helper()
	c := &checker{world: w, compiler: jsonschema.NewCompiler(), seen: make(map[string]bool)}
	w.ok("", "GET", "/openapi.json", "", &c.document)
	if c.document["openapi"] != "3.1.0" || c.document["info"].(map[string]any)["version"] != api.Version {
		w.Fatalf("expected OpenAPI 3.1, got %v", c.document["openapi"])
	}
	c.compiler.AssertFormat()
	w.must(c.compiler.AddResource("doc.json", c.document))
	return c
}

// holds fails the test unless a JSON text is as a part of the document says.
func (c *checker) holds(pointer, text, what string) {
	c.Helper()
	schema, err := c.compiler.Compile("doc.json#" + pointer)
	c.must(err)
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		c.Errorf("%s is not as documented: %s: %v", what, text, err)
	}
}

// pointer makes a JSON pointer into the document.
func pointer(parts ...string) string {
	for i, p := range parts {
		parts[i] = url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(p))
	}
	return "/" + strings.Join(parts, "/")
}

// try sends a request to a documented operation, and checks both against the
// document: the path, the query, the body, the status and the answer.
func (c *checker) try(op documentedOp, token, path, body string, headers ...string) *httptest.ResponseRecorder {
	c.Helper()
	method := strings.ToLower(op.method)
	what := op.id + " " + path
	documented := c.document["paths"].(map[string]any)[op.path].(map[string]any)[method].(map[string]any)
	target, err := url.Parse(path)
	c.must(err)
	for name, values := range target.Query() {
		parameters, _ := documented["parameters"].([]any)
		i := slices.IndexFunc(parameters, func(p any) bool { return p.(map[string]any)["name"] == name })
		if i < 0 {
			c.Errorf("%s: the parameter %q is not documented", what, name)
			continue
		}
		text, _ := json.Marshal(values[0])
		if _, err := strconv.Atoi(values[0]); err == nil {
			text = []byte(values[0])
		}
		c.holds(pointer("paths", op.path, method, "parameters", strconv.Itoa(i), "schema"), string(text), what)
	}
	if body != "" {
		c.holds(pointer("paths", op.path, method, "requestBody", "content", "application/json", "schema"), body, what)
	}
	answer := c.ask(token, op.method, path, body, headers...)
	status := strconv.Itoa(answer.Code)
	responses := documented["responses"].(map[string]any)
	response, ok := responses[status].(map[string]any)
	switch {
	case ok && response["content"] != nil:
		kind := answer.Header().Get("Content-Type")
		c.holds(pointer("paths", op.path, method, "responses", status, "content", kind, "schema"), answer.Body.String(), what)
	case ok:
		if answer.Body.Len() > 0 {
			c.Errorf("%s: no answer is documented, got %s", what, answer.Body)
		}
	case answer.Code < 400:
		c.Errorf("%s: the status %s is not documented", what, status)
	default:
		c.holds(pointer("paths", op.path, method, "responses", "default", "content", "application/problem+json", "schema"), answer.Body.String(), what)
	}
	if op.tagged && op.method == "GET" && answer.Code == http.StatusOK && answer.Header().Get("ETag") == "" {
		c.Errorf("%s: an ETag is documented, and is not there", what)
	}
	if ok { // not by default
		c.seen[op.id] = true
	}
	return answer
}

// TestTheDocumentIsWhatIsServed carries out every operation that is documented,
// and holds every request and answer to it.
func TestTheDocumentIsWhatIsServed(t *testing.T) {
	w := newWorld(t)
	c := newChecker(w)
	token := w.whole("acme")
	_, other := w.token("acme", []string{"192.0.2.0/24"}, admin.ScopeRead)
	ops := make(map[string]documentedOp)
	for _, op := range documented(t, w) {
		ops[op.id] = op
	}
	c.try(ops["getDocument"], "", "/openapi.json", "")
	c.try(ops["getAccount"], token, "/account", "")
	_, err := w.admin.Store.UpdateUser(t.Context(), "ana-acme", func(u *storage.User) error {
		u.PasswordHash = "hash" // an administrator who gets in
		return nil
	})
	w.must(err)
	version := c.try(ops["getPolicy"], token, "/policy", "").Header().Get("ETag")
	version = c.try(ops["setPolicy"], token, "/policy", bodies["setPolicy"], "If-Match: "+version).Header().Get("ETag")
	c.try(ops["endTrial"], token, "/policy/trial", "", "If-Match: "+version)
	version = c.try(ops["getPolicy"], token, "/policy", "").Header().Get("ETag")
	c.try(ops["cancelPlan"], token, "/policy/plan", "", "If-Match: "+version)
	c.try(ops["listAudit"], token, "/audit?limit=1&outcome=ok&since=2026-01-01T00:00:00Z&person=ana@acme.example", "")
	c.try(ops["claimDomain"], token, "/domains", `{"name":"Acme.example"}`)
	c.try(ops["verifyDomain"], token, "/domains/acme.example/verify", "")
	c.try(ops["listDomains"], token, "/domains", "")
	tag := c.try(ops["getDomain"], token, "/domains/acme.example", "").Header().Get("ETag")
	w.mails()
	tag = c.try(ops["linkDomain"], token, "/domains/acme.example/provider", bodies["linkDomain"], "If-Match: "+tag).Header().Get("ETag")
	tag = c.try(ops["enforceDomain"], token, "/domains/acme.example/enforced", bodies["enforceDomain"], "If-Match: "+tag).Header().Get("ETag")
	c.try(ops["getReadiness"], token, "/domains/acme.example/readiness", "")
	c.try(ops["offerPasswords"], token, "/domains/acme.example/passwords", "")
	c.try(ops["removeDomain"], token, "/domains/acme.example", "", "If-Match: "+tag)
	var theirs api.Provider
	w.must(json.Unmarshal(c.try(ops["connectProvider"], token, "/providers", providerBody).Body.Bytes(), &theirs))
	at := "/providers/" + theirs.ID
	tag = c.try(ops["getProvider"], token, at, "").Header().Get("ETag")
	tag = c.try(ops["setProvider"], token, at, providerBody, "If-Match: "+tag).Header().Get("ETag")
	tag = c.try(ops["disableProvider"], token, at+"/disabled", bodies["disableProvider"], "If-Match: "+tag).Header().Get("ETag")
	c.try(ops["testProvider"], token, at+"/test", "")
	c.try(ops["listProviders"], token, "/providers", "")
	c.try(ops["removeProvider"], token, at, "", "If-Match: "+tag)
	c.try(ops["makeToken"], token, "/tokens", "")
	var lee api.Person
	w.must(json.Unmarshal(c.try(ops["invitePerson"], token, "/people", `{"email":"lee@acme.example","role":"member"}`).Body.Bytes(), &lee))
	c.try(ops["inviteAgain"], token, "/people/"+lee.ID+"/invite", "")
	w.joined("acme", lee.ID)
	c.try(ops["listPeople"], token, "/people?only=missing&search=lee&limit=1", "")
	c.try(ops["setRole"], token, "/people/"+lee.ID+"/role", `{"role":"admin"}`)
	c.try(ops["resetPerson"], token, "/people/"+lee.ID+"/reset", "")
	c.try(ops["endSessions"], token, "/people/"+lee.ID+"/sign-out", "")
	c.try(ops["getPerson"], token, "/people/"+lee.ID, "")
	c.try(ops["removePerson"], token, "/people/"+lee.ID, "")
	c.try(ops["revokeToken"], token, "/tokens/"+other, "")
	c.try(ops["listTokens"], token, "/tokens", "")
	for id, op := range ops {
		if !c.seen[id] {
			t.Errorf("%s is documented, and was not carried out here", id)
		}
		// And what each answers when it refuses.
		c.try(op, stranger, op.sample("nothing"), op.body)
		c.try(op, token, op.sample("nothing"), op.body)
	}
}

// An ETag says whether the policy is as it was read.
func TestThePolicyHasAVersion(t *testing.T) {
	w := newWorld(t)
	token := w.whole("acme")
	tag := w.ok(token, "GET", "/policy", "", nil).Header().Get("ETag")
	if answer := w.ask(token, "GET", "/policy", "", "If-None-Match: "+tag); answer.Code != http.StatusNotModified || answer.Body.Len() != 0 {
		t.Errorf("unchanged: %d %s", answer.Code, answer.Body)
	}
	_, err := w.admin.Store.UpdateAccount(t.Context(), "acme", func(a *storage.Account) error {
		a.Policy = mfa.Required
		return nil
	})
	w.must(err)
	var p api.Policy
	if answer := w.ok(token, "GET", "/policy", "", &p, "If-None-Match: "+tag); answer.Header().Get("ETag") == tag || p.Mode != "required" {
		t.Errorf("changed: %s %+v", answer.Header().Get("ETag"), p)
	}
}

// A token of one account, with every operation there is, gets nothing of another
// account's: neither by a name in the path nor by anything that it can say.
func TestNothingOfAnotherAccountIsReached(t *testing.T) {
	w := newWorld(t)
	token := w.whole("acme")
	_, theirs := w.token("beta", nil, admin.ScopeRead)
	provider := w.connected("beta")
	w.ok(w.whole("beta"), "POST", "/domains", `{"name":"beta.example"}`, nil)
	before := w.sso("beta")
	tried := 0
	for _, op := range documented(t, w) {
		if op.scope == "" {
			continue
		}
		for _, name := range []string{theirs, "ana-beta", "ana@beta.example", "beta", "beta.example", provider} {
			path := op.sample(url.PathEscape(name))
			answer := w.ask(token, op.method, path, op.body, "If-Match: \"1\"")
			if path != op.path && answer.Code != http.StatusNotFound && answer.Code != http.StatusForbidden {
				t.Errorf("%s %s: %d %s", op.method, path, answer.Code, answer.Body)
			}
			if strings.Contains(answer.Body.String(), "beta") {
				t.Errorf("%s %s tells of beta: %s", op.method, path, answer.Body)
			}
			tried++
		}
	}
	if tried == 0 {
		t.Error("nothing was tried")
	}
	// Nor by an id in a body.
	w.ok(token, "POST", "/domains", `{"name":"acme.example"}`, nil)
	tag := w.ok(token, "GET", "/domains/acme.example", "", nil).Header().Get("ETag")
	w.refused(w.ask(token, "PUT", "/domains/acme.example/provider", `{"provider":"`+provider+`"}`, "If-Match: "+tag), http.StatusNotFound, "not_found")
	if after := w.sso("beta"); after != before {
		t.Errorf("beta was changed: %s, was %s", after, before)
	}
	var list api.TokenList
	w.ok(w.whole("beta"), "GET", "/tokens", "", &list)
	for _, other := range list.Tokens {
		if other.Revoked != nil {
			t.Error("a token of beta was revoked")
		}
	}
}

func TestAWriteNeedsTheVersionThatWasRead(t *testing.T) {
	w := newWorld(t)
	token := w.whole("acme")
	w.ok(token, "POST", "/domains", `{"name":"acme.example"}`, nil)
	tag := w.ok(token, "GET", "/domains/acme.example", "", nil).Header().Get("ETag")
	w.refused(w.ask(token, "DELETE", "/domains/acme.example", ""), http.StatusPreconditionRequired, "precondition_required")
	for _, other := range []string{"*", "1", "\"99\"", "W/" + tag, tag + ", " + tag} {
		w.refused(w.ask(token, "DELETE", "/domains/acme.example", "", "If-Match: "+other), http.StatusPreconditionFailed, "changed")
	}
	w.ok(token, "DELETE", "/domains/acme.example", "", nil, "If-Match: "+tag)
	w.refused(w.ask(token, "GET", "/domains/acme.example", ""), http.StatusNotFound, "not_found")
}

func TestAnIdempotencyKeyCarriesOutOnce(t *testing.T) {
	w := newWorld(t)
	token, other := w.whole("acme"), w.whole("acme")
	const key, body = "Idempotency-Key: k1", `{"name":"acme.example"}`
	first := w.ok(token, "POST", "/domains", body, nil, key)
	tag := w.ok(token, "GET", "/domains/acme.example", "", nil).Header().Get("ETag")
	w.ok(token, "DELETE", "/domains/acme.example", "", nil, "If-Match: "+tag)
	again := w.ok(token, "POST", "/domains", body, nil, key)
	if again.Code != first.Code || again.Body.String() != first.Body.String() || again.Header().Get("Idempotency-Replayed") != "true" {
		t.Errorf("first %d %s, then %d %s", first.Code, first.Body, again.Code, again.Body)
	}
	w.refused(w.ask(token, "GET", "/domains/acme.example", ""), http.StatusNotFound, "not_found")
	w.refused(w.ask(token, "POST", "/domains", `{"name":"other.acme.example"}`, key), http.StatusUnprocessableEntity, "key_reused")
	w.ok(other, "POST", "/domains", `{"name":"third.acme.example"}`, nil, key) // a key is one token's alone
	const wrong = "Idempotency-Key: k2"
	w.refused(w.ask(token, "POST", "/domains", `{"name":"com"}`, wrong), http.StatusBadRequest, "invalid_request")
	w.ok(token, "POST", "/domains", body, nil, wrong) // what was refused was not carried out
	for _, bad := range []string{"", strings.Repeat("x", 201), "é"} {
		w.refused(w.ask(token, "POST", "/domains", body, "Idempotency-Key: "+bad), http.StatusBadRequest, "invalid_request")
	}
}

func TestBodiesAreHeldToTheirSchema(t *testing.T) {
	w := newWorld(t)
	token := w.whole("acme")
	for _, body := range []string{`{}`, `[]`, `null`, `{"name":1}`, `{"name":"acme.example","enforce":true}`, `{"Name":"acme.example"}`, `{"name":`,
		`{"name":"acme.example"}{}`, `{"name":"com"}`, `{"name":"192.0.2.1"}`} {
		w.refused(w.ask(token, "POST", "/domains", body), http.StatusBadRequest, "invalid_request")
	}
	w.refused(w.ask(token, "POST", "/domains", `name=acme.example`, "Content-Type: application/x-www-form-urlencoded"), http.StatusUnsupportedMediaType, "not_json")
}

// FuzzRequest sends what a program might send; no answer is a fault, and nothing
// that is refused is something other than a problem.
func FuzzRequest(f *testing.F) {
	f.Add("GET", "/audit?limit=1", "", "cmfa_x")
	f.Add("DELETE", "/tokens/%2f", "{}", "")
	f.Add("POST", "/policy", `{"mode":"required"}`, stranger)
	f.Add("GET", "/openapi.json?x", "\x00", "Bearer")
	w := newWorld(f)
	good := w.whole("acme")
	f.Fuzz(func(t *testing.T, method, target, body, token string) {
		r, err := http.NewRequest(method, "http://gate.example"+base+target, strings.NewReader(body))
		if err != nil {
			return // no client could send it
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", body)
		for _, shown := range []string{token, good} {
			r.Header.Set("Authorization", "Bearer "+shown)
			answer := w.serve(r, api.Site{Network: "192.0.2.1"})
			if answer.Code >= 500 || answer.Code >= 400 && r.Method != "HEAD" && answer.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %q: %d %s, %v", method, target, answer.Code, answer.Body, w.faults)
			}
		}
	})
}
