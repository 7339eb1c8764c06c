package adminapi

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func TestABreakGlassLinkCarriesItsCodeInTheFragment(t *testing.T) {
	s := newServer(t)
	enrol(t, s.Operator, ana)
	var made BreakGlass
	s.ok("POST", "users/"+ana+"/breakglass", `{"account":"acme","for":"30m","origin":"https://portal.example.com"}`, &made)
	if made.Link != "https://portal.example.com"+s.Base+"/breakglass#"+made.Code || !made.Expires.Equal(clock.Add(30*60e9)) || len(made.Code) != 32 {
		t.Errorf("got %+v", made)
	}
	for body, want := range map[string]int{
		`{"account":"acme","for":"soon"}`: 400, `{"account":"acme","for":"-1h"}`: 400, `{"account":"acme","for":"25h"}`: 400,
		`{"account":"acme","origin":"portal"}`: 400, `{"account":"beta"}`: 404, `{"account":"fixed"}`: 400,
	} {
		_, err := s.ask("POST", "users/"+ana+"/breakglass", body)
		if refused := new(Error); !errors.As(err, &refused) || refused.Status != want {
			t.Errorf("%s: got %v, want %d", body, err, want)
		}
	}
}

func TestProvidersAreListedWithWhatTheySaid(t *testing.T) {
	s := newServer(t)
	store := s.Operator.Store
	if err := store.PutProvider(t.Context(), storage.IdentityProvider{
		ID: "p1", Account: "acme", Kind: "oidc", Name: "Corp", Issuer: "https://login.acme.example", Settings: []byte("sealed settings"), Trust: mfa.Verify, Created: clock,
	}); err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		if err := store.CountSignIn(t.Context(), "p1", clock, i > 0); err != nil {
			t.Fatal(err)
		}
	}
	var list []Provider
	text := s.ok("GET", "accounts/acme/providers", "", &list)
	want := Provider{ID: "p1", Kind: "oidc", Name: "Corp", Issuer: "https://login.acme.example", Trust: "verify", Days: 30, SignIns: 12, WithMFA: 11, Percent: 91}
	if len(list) != 1 || list[0] != want {
		t.Errorf("got %+v", list)
	}
	if strings.Contains(text, "sealed") {
		t.Error("the settings are shown")
	}
	if text := s.ok("GET", "accounts/fixed/providers", "", nil); !json.Valid([]byte(text)) || strings.TrimSpace(text) != "[]" {
		t.Errorf("none are %s", text)
	}
}
