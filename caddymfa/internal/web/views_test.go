package web

import (
	"fmt"
	"html"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/mfa"
)

func TestEveryViewRendersWell(t *testing.T) {
	r := newRenderer(t)
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) { checkMarkup(t, rendered(t, r, s.view)) })
	}
}

// The field names and paths of the outside contract.
func TestForms(t *testing.T) {
	r := newRenderer(t)
	views := make(map[string]View)
	for _, s := range samples() {
		views[s.name] = s.view
	}
	for _, test := range []struct{ sample, action, fields string }{
		{"login", "/login", "csrf return email"},
		{"login-problem", "/login", "csrf email"},
		{"password", "/login/password", "csrf return email password"},
		{"challenge", "/challenge/totp", "csrf return code"},
		{"challenge", "/challenge/recovery", "csrf return code"},
		{"challenge", "/logout", "csrf"},
		{"challenge-locked", "/challenge/recovery", "csrf return code"},
		{"enroll", "/enroll/totp", "csrf return code name"},
		{"enroll-suggested", "/suggest/later", "csrf return"},
		{"suggest", "/suggest/later", "csrf return"},
		{"accounts", "/accounts/switch", "csrf return account"},
		{"security", "/profile/security/rename", "csrf factor name"},
		{"security", "/profile/security/remove", "csrf factor"},
		{"security", "/profile/security/recovery-codes", "csrf"},
		{"security", "/profile/security/password", "csrf current new again"},
		{"remove", "/profile/security/remove", "csrf factor confirm"},
		{"security-devices", "/profile/security/forget", "csrf device"},
		{"challenge-remember", "/challenge/totp", "csrf return code remember"},
		{"admin-policy", "/admin/mfa", "csrf version mode mode mode when when date when accept accept age remember preview"},
		{"admin-policy-manage", "/admin/mfa", "csrf version mode mode mode when when date when accept accept age remember preview"},
		{"admin-policy-planned", "/admin/mfa/plan", "csrf version"},
		{"admin-trial", "/admin/mfa/trial", "csrf version do"},
		{"delete", "/profile/security/delete", "csrf current"},
		{"sessions", "/profile/sessions/revoke", "csrf session"},
		{"sessions", "/profile/sessions/revoke-others", "csrf"},
		{"sessions", "/logout", "csrf everywhere"},
		{"profile-accounts", "/accounts/switch", "csrf account"},
		{"setup", "/setup", "csrf ticket new again"},
	} {
		forms := formsOf(rendered(t, r, views[test.sample]))
		if !slices.ContainsFunc(forms, func(f form) bool {
			return f.action == "/.mfa"+test.action && strings.Join(f.fields, " ") == test.fields
		}) {
			t.Errorf("%s has no form to %s with the fields %s: %v", test.sample, test.action, test.fields, forms)
		}
	}
}

func TestFormsAreOfferedOnlyWhenTheyCanWork(t *testing.T) {
	r := newRenderer(t)
	views := make(map[string]View)
	for _, s := range samples() {
		views[s.name] = s.view
	}
	for _, test := range []struct{ sample, absent string }{
		{"challenge-locked", `action="/.mfa/challenge/totp"`},
		{"challenge-change", `action="/.mfa/challenge/recovery"`},
		{"challenge-nothing", `action="/.mfa/challenge/`},
		{"enroll", `action="/.mfa/suggest/later"`},
		{"security-full", `href="/.mfa/enroll/totp"`},
		{"security-bare", `action="/.mfa/profile/security/`},
		{"login", `action="/.mfa/logout"`},
		{"challenge", `href="/.mfa/profile"`},
		{"challenge", `name="remember"`},
		{"challenge-recovering", `name="remember"`},
		{"admin-policy-declared", `action="/.mfa/admin/mfa"`},
		{"admin-trial-none", `action="/.mfa/admin/mfa/trial"`},
		{"admin-trial-quiet", `action="/.mfa/admin/mfa/trial"`},
	} {
		if strings.Contains(rendered(t, r, views[test.sample]), test.absent) {
			t.Errorf("%s has %s", test.sample, test.absent)
		}
	}
}

func TestLeaveLeadsToTheProvider(t *testing.T) {
	view := Leave{URL: "https://login.example/authorize?client_id=a&state=b"}
	led := make(map[string]bool)
	for _, tag := range tagsOf(rendered(t, newRenderer(t), view)) {
		if tag.attrs["http-equiv"] == "refresh" {
			led["by itself"] = tag.attrs["content"] == "0;url="+view.URL
		}
		if tag.attrs["href"] == view.URL {
			led["by a link"] = true
		}
	}
	if !led["by itself"] || !led["by a link"] {
		t.Errorf("leads to the provider: %v", led)
	}
}

const hostile = `"><script>alert('x')</script><img src=x onerror=alert(1)>{{.}}`

// poison fills every string it can reach with markup.
func poison(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Text]() || v.Type() == reflect.TypeFor[Notice]() {
			return // keys of the catalogue are ours
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				poison(f)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i))
		}
	}
}

func TestHostileStringsStayText(t *testing.T) {
	r := newRenderer(t)
	for _, s := range samples() {
		if _, ok := s.view.(Message); ok {
			continue // its actions' paths are ours, and what is left is like the others
		}
		view := reflect.New(reflect.TypeOf(s.view)).Elem()
		view.Set(reflect.ValueOf(s.view))
		poison(view)
		page := rendered(t, r, view.Interface().(View))
		if strings.Contains(page, "<script>") || strings.Contains(page, "<img") {
			t.Errorf("%s: markup came through", s.name)
		}
	}
}

func TestHostileAddressesAreNoLinks(t *testing.T) {
	r := newRenderer(t)
	for _, view := range []View{
		RecoveryCodes{Return: "javascript:alert(1)"},
		Leave{URL: "javascript:alert(1)"},
		with(MessageBusy, func(m *Message) { m.Return = "javascript:alert(1)" }),
		with(enrolling(), func(e *EnrollTOTP) { e.Link = "javascript:alert(1)" }),
	} {
		for _, tag := range tagsOf(rendered(t, r, view)) {
			if where := tag.attrs["href"] + tag.attrs["content"]; strings.Contains(where, "javascript:") {
				t.Errorf("%s leads to %s", view.Name(), where)
			}
		}
	}
}

var secretElement = regexp.MustCompile(`id="totp-secret"[^>]*>(.*?)</code>`)

func TestSecretReadsAsOneWord(t *testing.T) {
	page := rendered(t, newRenderer(t), enrolling())
	m := secretElement.FindStringSubmatch(page)
	if m == nil {
		t.Fatal("no element with the id totp-secret")
	}
	text := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(m[1], "")
	if text != enrolling().Secret {
		t.Errorf("reads %q, want %q", text, enrolling().Secret)
	}
	if want := html.EscapeString(enrolling().Link); !strings.Contains(page, `href="`+want+`"`) {
		t.Errorf("no link to %s", want)
	}
}

func TestRecoveryCodesOnePerElement(t *testing.T) {
	view := RecoveryCodes{Codes: []string{"aaaa-bbbb", "cccc-dddd"}}
	page := rendered(t, newRenderer(t), view)
	found := regexp.MustCompile(`class="recovery-code">([^<]*)<`).FindAllStringSubmatch(page, -1)
	if len(found) != 2 || found[0][1] != view.Codes[0] || found[1][1] != view.Codes[1] {
		t.Errorf("found %v", found)
	}
}

func TestQRPath(t *testing.T) {
	modules := finder()
	drawn := make([][]bool, len(modules))
	for y := range drawn {
		drawn[y] = make([]bool, len(modules))
	}
	d := QRPath(modules)
	for _, m := range regexp.MustCompile(`M\d+ \d+h\d+v1h-\d+z`).FindAllString(d, -1) {
		var x, y, width, back int
		if _, err := fmt.Sscanf(m, "M%d %dh%dv1h-%dz", &x, &y, &width, &back); err != nil || width != back {
			t.Fatalf("%s: %v", m, err)
		}
		for i := range width {
			drawn[y-quietZone][x-quietZone+i] = true
		}
		d = strings.Replace(d, m, "", 1)
	}
	if d != "" || !reflect.DeepEqual(drawn, modules) {
		t.Errorf("the drawing differs from the modules; left over: %q", d)
	}
	if size := enrolling().Size(); size != len(modules)+8 {
		t.Errorf("side %d, want %d with the quiet zone", size, len(modules)+8)
	}
}

func TestDevice(t *testing.T) {
	texts := newRenderer(t).texts
	var got []string
	for _, row := range sessionRows() {
		said, err := texts.text("en", row.Device())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, said)
	}
	want := []string{"Edge on Windows", "Safari on iPhone", "curl", "Linux", "Unknown browser"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProviderComesBeforePolicy(t *testing.T) {
	card := AccountCard{Policy: mfa.Required, Provider: "Echo Entra ID"}
	if key := card.PolicyText().Key; key != "policy.provider" {
		t.Errorf("says %s", key)
	}
}

func TestUnknownNoticeIsNone(t *testing.T) {
	if n := NoticeNamed("<script>"); n.Kind != "" {
		t.Errorf("got %v", n)
	}
}
