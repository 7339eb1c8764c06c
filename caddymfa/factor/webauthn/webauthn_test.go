package webauthn

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	device "github.com/descope/virtualwebauthn"

	"github.com/caddymfa/gateway/caddymfa/factor"
)

// Positions in authenticator data (WebAuthn Level 3, section 6.1).
const (
	atFlags = 32
	up      = 1 << 0
	uv      = 1 << 2
	be      = 1 << 3
	bs      = 1 << 4
)

// register adds a new key of ana's.
func register(t *testing.T, k *Keys, auth device.Authenticator, cred device.Credential, existing ...[]byte) ([]byte, factor.Credential) {
	t.Helper()
	remember, options, err := k.BeginRegistration(ana, existing, true)
	if err != nil {
		t.Fatal(err)
	}
	state, about, err := k.FinishRegistration(remember, create(t, options, auth, cred, nil), now)
	if err != nil {
		t.Fatal(err)
	}
	return state, about
}

// owned is a software authenticator of ana's.
func owned() device.Authenticator {
	return device.NewAuthenticatorWithOptions(device.AuthenticatorOptions{UserHandle: []byte(ana.User)})
}

func TestRegistrationAndAssertion(t *testing.T) {
	for _, kind := range []device.KeyType{device.KeyTypeEC2, device.KeyTypeRSA} {
		k, auth, cred := newKeys(t, Module{}), owned(), credential(kind)
		auth.Aaguid, _ = parseAAGUID("ee882879-721c-4913-9775-3dfcce97072a")
		state, about := register(t, k, auth, cred)
		if about.Name != "YubiKey 5" || about.Synced || !about.Verified {
			t.Errorf("%s: %+v", kind, about)
		}
		other := credential(kind)
		second, _ := register(t, k, auth, other)
		for want, answering := range []device.Credential{cred, other} {
			answering.Counter = 7
			remember, options, err := k.BeginAssertion(ana, [][]byte{state, second}, false)
			if err != nil {
				t.Fatal(err)
			}
			index, next, about, err := k.FinishAssertion(remember, get(t, options, auth, answering, nil), [][]byte{state, second}, now)
			if err != nil || index != want || about.Name != "YubiKey 5" {
				t.Fatalf("%s: key %d answered as %d, %+v, %v", kind, want, index, about, err)
			}
			var s struct {
				Count uint32
			}
			if err := json.Unmarshal(next, &s); err != nil || s.Count != 7 {
				t.Errorf("the counter is %d, %v", s.Count, err)
			}
		}
	}
}

func TestPasskey(t *testing.T) {
	k, auth, cred := newKeys(t, Module{}), owned(), credential(device.KeyTypeEC2)
	auth.Options.BackupEligible, auth.Options.BackupState = true, true
	state, about := register(t, k, auth, cred)
	if !about.Synced {
		t.Error("a passkey that can be copied is not called so")
	}
	remember, options, err := k.BeginDiscoverable()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(options), `"userVerification":"required"`) || strings.Contains(string(options), ana.User) {
		t.Errorf("the options are %s", options)
	}
	find := func(user string) ([][]byte, error) {
		if user != ana.User {
			return nil, nil
		}
		return [][]byte{state}, nil
	}
	user, index, _, about, err := k.FinishDiscoverable(remember, get(t, options, auth, cred, nil), now, find)
	if err != nil || user != ana.User || index != 0 || !about.Verified || !about.Synced {
		t.Fatalf("%s, %d, %+v, %v", user, index, about, err)
	}
	down := errors.New("the storage is down")
	if _, _, _, _, err := k.FinishDiscoverable(remember, get(t, options, auth, cred, nil), now, func(string) ([][]byte, error) { return nil, down }); !errors.Is(err, down) || errors.Is(err, factor.ErrIncorrect) {
		t.Errorf("a fault of the storage is told as %v", err)
	}
	for name, change := range map[string]func(*answer){
		"no user verification": func(a *answer) { a.Data[atFlags] &^= uv },
		"no user presence":     func(a *answer) { a.Data[atFlags] &^= up },
		"no handle":            func(a *answer) { a.Handle = nil },
		"another's handle":     func(a *answer) { a.Handle = []byte(bea.User) },
		"another's signature":  func(a *answer) { a.Forge = true },
		"an unknown key":       func(a *answer) { a.ID = []byte("no such key") },
	} {
		if _, _, _, _, err := k.FinishDiscoverable(remember, get(t, options, auth, cred, change), now, find); !errors.Is(err, factor.ErrIncorrect) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTamperedAssertions changes one thing at a time in an answer that is signed
// all the same: each has to be found out on its own.
func TestTamperedAssertions(t *testing.T) {
	k, auth, cred := newKeys(t, Module{}), owned(), credential(device.KeyTypeEC2)
	cred.Counter = 5
	state, _ := register(t, k, auth, cred)
	remember, options, err := k.BeginAssertion(ana, [][]byte{state}, false)
	if err != nil {
		t.Fatal(err)
	}
	cred.Counter = 6
	if _, _, _, err := k.FinishAssertion(remember, get(t, options, auth, cred, func(*answer) {}), [][]byte{state}, now); err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	_, options2, err := k.BeginAssertion(ana, [][]byte{state}, false)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*answer){
		"another site's origin":      func(a *answer) { a.Origin = "https://portal.example.evil.example" },
		"plain HTTP":                 func(a *answer) { a.Origin = "http://portal.example" },
		"another port":               func(a *answer) { a.Origin = "https://portal.example:8443" },
		"a subdomain":                func(a *answer) { a.Origin = "https://x.portal.example" },
		"inside another site":        func(a *answer) { a.Client["crossOrigin"] = true; a.Client["topOrigin"] = "https://evil.example" },
		"a registration's type":      func(a *answer) { a.Type = "webauthn.create" },
		"another challenge":          func(a *answer) { a.Client["challenge"] = base([]byte("0123456789abcdef0123456789abcdef")) },
		"no challenge":               func(a *answer) { delete(a.Client, "challenge") },
		"another relying party":      func(a *answer) { a.Data[0] ^= 1 },
		"nobody present":             func(a *answer) { a.Data[atFlags] &^= up },
		"backup eligibility changed": func(a *answer) { a.Data[atFlags] |= be },
		"backed up, not eligible":    func(a *answer) { a.Data[atFlags] |= bs },
		"the counter went back":      func(a *answer) { a.Data[atFlags+4] = 4 },
		"the counter stood still":    func(a *answer) { a.Data[atFlags+4] = 5 },
		"another key's signature":    func(a *answer) { a.Forge = true },
		"another user's handle":      func(a *answer) { a.Handle = []byte(bea.User) },
		"a key that was not asked":   func(a *answer) { a.ID = []byte("another key") },
	} {
		if _, _, _, err := k.FinishAssertion(remember, get(t, options, auth, cred, change), [][]byte{state}, now); !errors.Is(err, factor.ErrIncorrect) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, _, err := k.FinishAssertion(remember, get(t, options2, auth, cred, nil), [][]byte{state}, now); !errors.Is(err, factor.ErrIncorrect) {
		t.Errorf("the answer to another ceremony: %v", err)
	}
	if _, _, _, err := k.FinishAssertion(remember, get(t, options, auth, cred, nil), nil, now); !errors.Is(err, factor.ErrIncorrect) {
		t.Errorf("a removed key: %v", err)
	}
	beas, _ := register(t, k, auth, credential(device.KeyTypeEC2))
	if _, _, _, err := k.FinishAssertion(remember, get(t, options, auth, cred, nil), [][]byte{beas}, now); !errors.Is(err, factor.ErrIncorrect) {
		t.Errorf("a key of somebody else's ceremony: %v", err)
	}
	demanding, options, err := k.BeginAssertion(ana, [][]byte{state}, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := k.FinishAssertion(demanding, get(t, options, auth, cred, func(a *answer) { a.Data[atFlags] &^= uv }), [][]byte{state}, now); !errors.Is(err, factor.ErrIncorrect) {
		t.Errorf("without the demanded user verification: %v", err)
	}
}

func TestTamperedRegistrations(t *testing.T) {
	k, auth, cred := newKeys(t, Module{}), owned(), credential(device.KeyTypeEC2)
	state, _ := register(t, k, auth, cred)
	remember, options, err := k.BeginRegistration(ana, [][]byte{state}, true)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(options), base(cred.ID)) {
		t.Errorf("the browser is not told which keys there are: %s", options)
	}
	fresh := credential(device.KeyTypeEC2)
	for name, change := range map[string]func(*answer){
		"another site's origin":   func(a *answer) { a.Origin = "https://evil.example" },
		"an assertion's type":     func(a *answer) { a.Type = "webauthn.get" },
		"another challenge":       func(a *answer) { a.Client["challenge"] = base([]byte("0123456789abcdef0123456789abcdef")) },
		"another relying party":   func(a *answer) { a.Data[0] ^= 1 },
		"nobody present":          func(a *answer) { a.Data[atFlags] &^= up },
		"backed up, not eligible": func(a *answer) { a.Data[atFlags] |= bs },
		"inside another site":     func(a *answer) { a.Client["crossOrigin"] = true; a.Client["topOrigin"] = "https://evil.example" },
		"a forged statement": func(a *answer) {
			a.Format, a.Stmt = "packed", map[string]any{"alg": -7, "sig": []byte("forged")}
		},
	} {
		if _, _, err := k.FinishRegistration(remember, create(t, options, auth, fresh, change), now); !errors.Is(err, factor.ErrIncorrect) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := k.FinishRegistration(remember, create(t, options, auth, cred, nil), now); !errors.Is(err, factor.ErrIncorrect) {
		t.Errorf("the same key again: %v", err)
	}
	// An algorithm that was not asked for: as if RSA had not been among them.
	narrow := bytes.ReplaceAll(remember, []byte(`"alg":-257`), []byte(`"alg":-39`))
	rsa := credential(device.KeyTypeRSA)
	if _, _, err := k.FinishRegistration(narrow, create(t, options, auth, rsa, nil), now); !errors.Is(err, factor.ErrIncorrect) {
		t.Errorf("an algorithm that was not asked for: %v", err)
	}
	if _, _, err := k.FinishRegistration(remember, create(t, options, auth, rsa, nil), now); err != nil {
		t.Errorf("an algorithm that was asked for: %v", err)
	}
}

// TestAttestation admits the listed products only, and only with their maker's
// word for it.
func TestAttestation(t *testing.T) {
	listed, _ := parseAAGUID("ee882879-721c-4913-9775-3dfcce97072a")
	other, _ := parseAAGUID("2fc0579f-8113-47ea-b116-bb5a8db9202a")
	k := newKeys(t, Module{Attestation: "direct", AAGUIDs: []string{"ee882879-721c-4913-9775-3dfcce97072a"}})
	for name, c := range map[string]struct {
		aaguid [16]byte
		change func(a *answer, aaguid [16]byte)
		ok     bool
	}{
		"listed":                                 {listed, func(a *answer, id [16]byte) { signedByMaker(t, a, id) }, true},
		"not listed":                             {other, func(a *answer, id [16]byte) { signedByMaker(t, a, id) }, false},
		"none":                                   {[16]byte{}, func(a *answer, id [16]byte) { signedByMaker(t, a, id) }, false},
		"listed, without statement":              {listed, func(*answer, [16]byte) {}, false},
		"listed, of another maker's certificate": {listed, func(a *answer, _ [16]byte) { signedByMaker(t, a, other) }, false},
	} {
		auth := owned()
		auth.Aaguid = c.aaguid
		remember, options, err := k.BeginRegistration(ana, nil, true)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(options), `"attestation":"direct"`) {
			t.Errorf("the options are %s", options)
		}
		_, _, err = k.FinishRegistration(remember, create(t, options, auth, credential(device.KeyTypeEC2), func(a *answer) { c.change(a, c.aaguid) }), now)
		if ok := err == nil; ok != c.ok || !ok && !errors.Is(err, factor.ErrIncorrect) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A statement that the key signed with itself is a claim.
	auth := owned()
	auth.Aaguid = listed
	remember, options, err := k.BeginRegistration(ana, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := device.ParseAttestationOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.FinishRegistration(remember, []byte(device.CreateAttestationResponse(party, auth, credential(device.KeyTypeEC2), *parsed)), now); !errors.Is(err, factor.ErrIncorrect) {
		t.Errorf("self-attested: %v", err)
	}
	// Without the option, nobody is asked, and a statement does no harm.
	free := newKeys(t, Module{})
	remember, options, err = free.BeginRegistration(ana, nil, true)
	if err != nil || strings.Contains(string(options), "direct") {
		t.Fatalf("%s, %v", options, err)
	}
	if parsed, err = device.ParseAttestationOptions(string(options)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := free.FinishRegistration(remember, []byte(device.CreateAttestationResponse(party, auth, credential(device.KeyTypeEC2), *parsed)), now); err != nil {
		t.Error(err)
	}
}

func TestSeveralOrigins(t *testing.T) {
	k := newKeys(t, Module{Origins: []string{"https://portal.example", "https://eu.portal.example:8443"}})
	for origin, ok := range map[string]bool{"https://portal.example": true, "https://eu.portal.example:8443": true, "https://eu.portal.example": false, "https://us.portal.example": false} {
		remember, options, err := k.BeginRegistration(ana, nil, true)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = k.FinishRegistration(remember, create(t, options, owned(), credential(device.KeyTypeEC2), func(a *answer) { a.Origin = origin }), now)
		if (err == nil) != ok {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

// TestMalformed: what is no answer at all is not a wrong one, and never a panic.
func TestMalformed(t *testing.T) {
	k, auth, cred := newKeys(t, Module{}), owned(), credential(device.KeyTypeEC2)
	state, _ := register(t, k, auth, cred)
	for name, response := range malformed(t) {
		for ceremony, err := range everyFinish(t, k, state, []byte(response)) {
			if !errors.Is(err, factor.ErrMalformed) || errors.Is(err, factor.ErrIncorrect) {
				t.Errorf("%s, %s: %v", name, ceremony, err)
			}
		}
	}
}

func malformed(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"empty":     "",
		"not JSON":  "hello",
		"null":      "null",
		"an array":  "[]",
		"truncated": `{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{"clientDataJSON":`,
		"no CBOR":   `{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"_____w","authenticatorData":"_w","signature":"_w"}}`,
		"not base":  `{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{"clientDataJSON":"!!!","attestationObject":"!!!","authenticatorData":"!!!"}}`,
		"type":      `{"id":"AAAA","rawId":"AAAA","type":"password","response":{}}`,
		"too long":  `{"id":"` + strings.Repeat("A", maxResponse) + `"}`,
		"deep":      strings.Repeat(`{"response":`, 5000),
	}
}

// everyFinish gives one response to each of the three ceremonies.
func everyFinish(t *testing.T, k *Keys, state, response []byte) map[string]error {
	t.Helper()
	registration, _, err := k.BeginRegistration(ana, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	assertion, _, err := k.BeginAssertion(ana, [][]byte{state}, false)
	if err != nil {
		t.Fatal(err)
	}
	discoverable, _, err := k.BeginDiscoverable()
	if err != nil {
		t.Fatal(err)
	}
	errs := make(map[string]error)
	_, _, errs["registration"] = k.FinishRegistration(registration, response, now)
	_, _, _, errs["assertion"] = k.FinishAssertion(assertion, response, [][]byte{state}, now)
	_, _, _, _, errs["passkey"] = k.FinishDiscoverable(discoverable, response, now, func(string) ([][]byte, error) { return [][]byte{state}, nil })
	return errs
}

// FuzzResponses gives anything at all to the three ceremonies: none may be
// believed or panic.
func FuzzResponses(f *testing.F) {
	t := new(testing.T)
	k, auth, cred := newKeys(t, Module{}), owned(), credential(device.KeyTypeEC2)
	state, _ := register(t, k, auth, cred)
	for _, response := range malformed(t) {
		f.Add([]byte(response))
	}
	_, options, _ := k.BeginRegistration(ana, nil, true)
	f.Add(create(t, options, auth, cred, nil))
	_, options, _ = k.BeginAssertion(ana, [][]byte{state}, false)
	f.Add(get(t, options, auth, cred, nil))
	f.Fuzz(func(t *testing.T, response []byte) {
		for ceremony, err := range everyFinish(t, k, state, response) {
			if !errors.Is(err, factor.ErrMalformed) && !errors.Is(err, factor.ErrIncorrect) {
				t.Errorf("%s: %v", ceremony, err)
			}
		}
	})
}

// TestUnfitKey: a key that could never answer is not added.
func TestUnfitKey(t *testing.T) {
	k, cred := newKeys(t, Module{}), credential(device.KeyTypeEC2)
	remember, options, err := k.BeginRegistration(ana, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = k.FinishRegistration(remember, create(t, options, owned(), cred, func(a *answer) {
		a.Data[len(a.Data)-1] ^= 1 // no point on the curve any more
	}), now)
	if !errors.Is(err, factor.ErrIncorrect) {
		t.Error(err)
	}
}

func TestStateIsReadBack(t *testing.T) {
	k := newKeys(t, Module{})
	if _, _, err := k.BeginAssertion(ana, [][]byte{[]byte("{")}, false); err == nil {
		t.Error("a broken state was used")
	}
	for _, ceremony := range []string{"", "{", "null1"} {
		if _, _, err := k.FinishRegistration([]byte(ceremony), nil, now); err == nil || errors.Is(err, factor.ErrMalformed) {
			t.Errorf("a broken ceremony is told as %v", err)
		}
	}
}

func TestProducts(t *testing.T) {
	lines := 0
	var last string
	for line := range strings.Lines(productList) {
		if strings.HasPrefix(line, "#") {
			last = ""
			continue
		}
		lines++
		if line < last {
			t.Errorf("%q stands after %q", line, last)
		}
		last = line
	}
	if len(products) != lines || lines < 20 {
		t.Errorf("%d lines, %d products", lines, len(products))
	}
	if productName(make([]byte, 16)) != "" || productName(nil) != "" {
		t.Error("a key that does not say what it is has a name")
	}
	if !slices.Contains([]string{"iCloud Keychain"}, productName(unhex(t, "dd4ec289-e01d-41c9-bb89-70fa845d4bf2"))) {
		t.Error("a known product has no name")
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	id, err := parseAAGUID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id[:]
}
