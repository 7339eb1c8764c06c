package webauthn

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"testing"
	"time"

	device "github.com/descope/virtualwebauthn"
	"github.com/fxamacker/cbor/v2"

	"github.com/caddymfa/gateway/caddymfa/factor"
)

var (
	party = device.RelyingParty{ID: "portal.example", Name: "Portal", Origin: "https://portal.example"}
	ana   = factor.Subject{User: "u-ana", Label: "ana@acme.example", Issuer: "Portal"}
	bea   = factor.Subject{User: "u-bea", Label: "bea@acme.example", Issuer: "Portal"}
	now   = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
)

// newKeys returns the factor as the module makes it.
func newKeys(t *testing.T, m Module) *Keys {
	t.Helper()
	if m.RPID == "" {
		m.RPID = party.ID
	}
	if err := m.check(); err != nil {
		t.Fatal(err)
	}
	keys, err := m.Keys("Portal", "")
	if err != nil {
		t.Fatal(err)
	}
	return keys.(*Keys)
}

// answer is a browser's response that a test may change before it is signed or
// sent.
type answer struct {
	Type   string // of the ceremony, in the client data
	Origin string
	Client map[string]any // more of the client data
	Data   []byte         // authenticator data
	Handle []byte
	ID     []byte
	Format string         // of the attestation
	Stmt   map[string]any // the attestation's statement
	Forge  bool           // sign with another key
}

// parts splits what the software authenticator made.
func parts(t *testing.T, response string) (clientData map[string]any, data []byte) {
	t.Helper()
	var r struct {
		Response struct{ ClientDataJSON, AuthenticatorData, AttestationObject string }
	}
	if err := json.Unmarshal([]byte(response), &r); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(unbase(t, r.Response.ClientDataJSON), &clientData); err != nil {
		t.Fatal(err)
	}
	if r.Response.AttestationObject == "" {
		return clientData, unbase(t, r.Response.AuthenticatorData)
	}
	var object struct {
		AuthData []byte `cbor:"authData"`
	}
	if err := cbor.Unmarshal(unbase(t, r.Response.AttestationObject), &object); err != nil {
		t.Fatal(err)
	}
	return clientData, object.AuthData
}

func unbase(t *testing.T, s string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func base(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// create answers a registration's options, as changed.
func create(t *testing.T, options []byte, auth device.Authenticator, cred device.Credential, change func(*answer)) []byte {
	t.Helper()
	parsed, err := device.ParseAttestationOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	client, data := parts(t, device.CreateAttestationResponse(party, auth, cred, *parsed))
	a := answer{Type: "webauthn.create", Origin: party.Origin, Client: client, Data: data, ID: cred.ID, Format: "none", Stmt: map[string]any{}}
	if change != nil {
		change(&a)
	}
	object, err := cbor.Marshal(map[string]any{"fmt": a.Format, "authData": a.Data, "attStmt": a.Stmt})
	if err != nil {
		t.Fatal(err)
	}
	return a.response(t, map[string]string{"attestationObject": base(object), "clientDataJSON": base(a.client(t))})
}

// get answers an assertion's options, as changed.
func get(t *testing.T, options []byte, auth device.Authenticator, cred device.Credential, change func(*answer)) []byte {
	t.Helper()
	parsed, err := device.ParseAssertionOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	client, data := parts(t, device.CreateAssertionResponse(party, auth, cred, *parsed))
	a := answer{Type: "webauthn.get", Origin: party.Origin, Client: client, Data: data, Handle: auth.Options.UserHandle, ID: cred.ID}
	if change != nil {
		change(&a)
	}
	hash := sha256.Sum256(a.client(t))
	digest := sha256.Sum256(append(bytes.Clone(a.Data), hash[:]...))
	if a.Forge {
		cred = credential(device.KeyTypeEC2)
	}
	signature, err := cred.Key.Sign(digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return a.response(t, map[string]string{"authenticatorData": base(a.Data), "clientDataJSON": base(a.client(t)),
		"signature": base(signature), "userHandle": base(a.Handle)})
}

func (a *answer) client(t *testing.T) []byte {
	t.Helper()
	a.Client["type"], a.Client["origin"] = a.Type, a.Origin
	raw, err := json.Marshal(a.Client)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (a *answer) response(t *testing.T, inner map[string]string) []byte {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"type": "public-key", "id": base(a.ID), "rawId": base(a.ID), "response": inner})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// signedByMaker replaces the statement by one of the key's maker, about the
// client data that goes with it (WebAuthn Level 3, section 8.2).
func signedByMaker(t *testing.T, a *answer, aaguid [16]byte) {
	t.Helper()
	maker, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := asn1.Marshal(aaguid[:])
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		Subject:         pkix.Name{Country: []string{"SE"}, Organization: []string{"Maker"}, OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Batch 1"},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Value: id}},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &maker.PublicKey, maker)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(a.client(t))
	digest := sha256.Sum256(append(bytes.Clone(a.Data), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, maker, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	a.Format, a.Stmt = "packed", map[string]any{"alg": -7, "sig": signature, "x5c": [][]byte{certificate}}
}

// credential makes a key. The software authenticator writes coordinates without
// their leading zeros, which no real one does: one in 128 of its keys is unfit.
func credential(kind device.KeyType) device.Credential {
	for {
		c := device.NewCredential(kind)
		if kind != device.KeyTypeEC2 || len(c.Key.AttestationData()) == 77 {
			return c
		}
	}
}
