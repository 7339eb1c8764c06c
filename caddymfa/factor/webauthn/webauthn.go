// Package webauthn is the kind of factor that answers with a key: security keys
// and passkeys (Web Authentication, Level 3).
package webauthn

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/caddymfa/gateway/caddymfa/factor"
)

// patience is how long a browser lets its owner take. The answer's deadline is
// the caller's, who keeps the ceremony.
const patience = 5 * time.Minute

// maxResponse is the longest response that is read, in bytes. Attestation
// certificates make the longest ones, of a few thousand.
const maxResponse = 64 << 10

// algorithms are what a key may sign with: EdDSA, ECDSA with P-256, and the RSA
// of Windows Hello (COSE Algorithms, RFC 9053 and RFC 8812).
var algorithms = []protocol.CredentialParameter{
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES256},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgEdDSA},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgRS256},
}

// Keys implements [factor.Keys] for one relying party.
type Keys struct {
	party   *webauthn.WebAuthn
	attest  bool
	aaguids [][16]byte // the allowed products; empty: all
}

// state is what is stored about a key: the credential record (WebAuthn Level 3,
// section 4).
type state struct {
	ID        []byte                            `json:"id"`
	Key       []byte                            `json:"key"` // COSE
	Count     uint32                            `json:"count"`
	Transport []protocol.AuthenticatorTransport `json:"transports,omitempty"`
	Verified  bool                              `json:"uv,omitempty"`
	Eligible  bool                              `json:"be,omitempty"`
	BackedUp  bool                              `json:"bs,omitempty"`
	AAGUID    []byte                            `json:"aaguid,omitempty"`
	Format    string                            `json:"fmt,omitempty"`
}

// ceremony is what must be remembered until the answer.
type ceremony struct {
	Session  webauthn.SessionData `json:"session"`
	Existing [][]byte             `json:"existing,omitempty"` // ids that must not be registered again
}

// person is the user of the library.
type person struct {
	id, name    string
	credentials []webauthn.Credential
}

func (p person) WebAuthnID() []byte                         { return []byte(p.id) }
func (p person) WebAuthnName() string                       { return p.name }
func (p person) WebAuthnDisplayName() string                { return p.name }
func (p person) WebAuthnCredentials() []webauthn.Credential { return p.credentials }

// BeginRegistration implements [factor.Keys].
func (k *Keys) BeginRegistration(who factor.Subject, existing [][]byte, discoverable bool) (remember, options []byte, err error) {
	credentials, err := credentialsOf(existing)
	if err != nil {
		return nil, nil, err
	}
	resident := protocol.ResidentKeyRequirementDiscouraged
	if discoverable {
		resident = protocol.ResidentKeyRequirementPreferred
	}
	conveyance := protocol.PreferNoAttestation
	if k.attest {
		conveyance = protocol.PreferDirectAttestation
	}
	creation, session, err := k.party.BeginRegistration(person{id: who.User, name: who.Label, credentials: credentials},
		webauthn.WithCredentialParameters(algorithms),
		webauthn.WithExclusions(webauthn.Credentials(credentials).CredentialDescriptors()),
		webauthn.WithConveyancePreference(conveyance),
		webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
			ResidentKey: resident, RequireResidentKey: protocol.ResidentKeyNotRequired(), UserVerification: protocol.VerificationPreferred,
		}))
	if err != nil {
		return nil, nil, fmt.Errorf("asking for a new key: %w", err)
	}
	c := ceremony{Session: *session}
	for _, credential := range credentials {
		c.Existing = append(c.Existing, credential.ID)
	}
	return encode(c, creation.Response)
}

// FinishRegistration implements [factor.Keys].
func (k *Keys) FinishRegistration(remember, response []byte, now time.Time) ([]byte, factor.Credential, error) {
	c, err := decode(remember)
	if err != nil {
		return nil, factor.Credential{}, err
	}
	parsed, err := parse(response, protocol.ParseCredentialCreationResponseBytes)
	if err != nil {
		return nil, factor.Credential{}, err
	}
	credential, err := k.party.CreateCredential(person{id: string(c.Session.UserID)}, c.Session, parsed)
	if err != nil {
		return nil, factor.Credential{}, incorrect(err)
	}
	// Without an attestation nothing has been verified with the key so far.
	if _, err := webauthncose.ParsePublicKey(credential.PublicKey); err != nil {
		return nil, factor.Credential{}, incorrect(err)
	}
	if slices.ContainsFunc(c.Existing, func(id []byte) bool { return string(id) == string(credential.ID) }) {
		return nil, factor.Credential{}, fmt.Errorf("%w: this key is registered already", factor.ErrIncorrect)
	}
	if err := k.allowed(credential); err != nil {
		return nil, factor.Credential{}, err
	}
	return k.finish(credential)
}

// allowed applies the operator's list of products. What a key says about its
// product without a statement that its maker signed is no more than a claim.
func (k *Keys) allowed(c *webauthn.Credential) error {
	if len(k.aaguids) == 0 {
		return nil
	}
	if c.AttestationFormat == "none" || len(c.Attestation.Object) == 0 || c.AttestationType == selfAttested {
		return fmt.Errorf("%w: the key does not say, signed by its maker, which product it is", factor.ErrIncorrect)
	}
	if !slices.ContainsFunc(k.aaguids, func(a [16]byte) bool { return string(a[:]) == string(c.Authenticator.AAGUID) }) {
		return fmt.Errorf("%w: the key's product %x is not in the list of the allowed ones", factor.ErrIncorrect, c.Authenticator.AAGUID)
	}
	return nil
}

// selfAttested is the type of a statement that the key signed with itself.
const selfAttested = "basic_surrogate"

// BeginAssertion implements [factor.Keys].
func (k *Keys) BeginAssertion(who factor.Subject, states [][]byte, verification bool) (remember, options []byte, err error) {
	credentials, err := credentialsOf(states)
	if err != nil {
		return nil, nil, err
	}
	wanted := protocol.VerificationDiscouraged
	if verification {
		wanted = protocol.VerificationRequired
	}
	assertion, session, err := k.party.BeginLogin(person{id: who.User, name: who.Label, credentials: credentials},
		webauthn.WithUserVerification(wanted))
	if err != nil {
		return nil, nil, fmt.Errorf("asking a key: %w", err)
	}
	return encode(ceremony{Session: *session}, assertion.Response)
}

// FinishAssertion implements [factor.Keys].
func (k *Keys) FinishAssertion(remember, response []byte, states [][]byte, now time.Time) (int, []byte, factor.Credential, error) {
	c, err := decode(remember)
	if err != nil {
		return 0, nil, factor.Credential{}, err
	}
	parsed, err := parse(response, protocol.ParseCredentialRequestResponseBytes)
	if err != nil {
		return 0, nil, factor.Credential{}, err
	}
	credentials, err := credentialsOf(states)
	if err != nil {
		return 0, nil, factor.Credential{}, err
	}
	// A key that was removed since it was asked is no longer among them: what
	// counts is who owns the answering one now.
	c.Session.AllowedCredentialIDs = slices.DeleteFunc(c.Session.AllowedCredentialIDs, func(id []byte) bool {
		return indexOf(credentials, id) < 0
	})
	if len(c.Session.AllowedCredentialIDs) == 0 {
		return 0, nil, factor.Credential{}, fmt.Errorf("%w: none of the keys that were asked is left", factor.ErrIncorrect)
	}
	credential, err := k.party.ValidateLogin(person{id: string(c.Session.UserID), credentials: credentials}, c.Session, parsed)
	if err != nil {
		return 0, nil, factor.Credential{}, incorrect(err)
	}
	return k.answered(credentials, credential, parsed)
}

// BeginDiscoverable implements [factor.Keys].
func (k *Keys) BeginDiscoverable() (remember, options []byte, err error) {
	assertion, session, err := k.party.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, nil, fmt.Errorf("asking for a passkey: %w", err)
	}
	return encode(ceremony{Session: *session}, assertion.Response)
}

// FinishDiscoverable implements [factor.Keys].
func (k *Keys) FinishDiscoverable(remember, response []byte, now time.Time, find func(user string) ([][]byte, error)) (string, int, []byte, factor.Credential, error) {
	c, err := decode(remember)
	if err != nil {
		return "", 0, nil, factor.Credential{}, err
	}
	parsed, err := parse(response, protocol.ParseCredentialRequestResponseBytes)
	if err != nil {
		return "", 0, nil, factor.Credential{}, err
	}
	var (
		owner  person
		failed error
	)
	_, credential, err := k.party.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
		owner.id = string(handle)
		states, err := find(owner.id)
		if err == nil {
			owner.credentials, err = credentialsOf(states)
		}
		failed = err
		return owner, err
	}, c.Session, parsed)
	if failed != nil {
		return "", 0, nil, factor.Credential{}, failed
	}
	if err != nil {
		return "", 0, nil, factor.Credential{}, incorrect(err)
	}
	index, next, about, err := k.answered(owner.credentials, credential, parsed)
	return owner.id, index, next, about, err
}

// answered returns the new state of the key that answered. A counter that does
// not grow says that there are two of a key that cannot be copied: neither is
// believed (WebAuthn Level 3, section 6.1.1).
func (k *Keys) answered(credentials []webauthn.Credential, credential *webauthn.Credential, parsed *protocol.ParsedCredentialAssertionData) (int, []byte, factor.Credential, error) {
	if credential.Authenticator.CloneWarning {
		return 0, nil, factor.Credential{}, fmt.Errorf("%w: the signature counter went back", factor.ErrIncorrect)
	}
	next, about, err := k.finish(credential)
	// Whether the owner was verified is this answer's matter, not the key's.
	about.Verified = parsed.Response.AuthenticatorData.Flags.HasUserVerified()
	return indexOf(credentials, credential.ID), next, about, err
}

func indexOf(credentials []webauthn.Credential, id []byte) int {
	return slices.IndexFunc(credentials, func(c webauthn.Credential) bool { return string(c.ID) == string(id) })
}

// finish returns the state to store.
func (k *Keys) finish(c *webauthn.Credential) ([]byte, factor.Credential, error) {
	raw, err := json.Marshal(state{
		ID: c.ID, Key: c.PublicKey, Count: c.Authenticator.SignCount, Transport: c.Transport, AAGUID: c.Authenticator.AAGUID,
		Verified: c.Flags.UserVerified, Eligible: c.Flags.BackupEligible, BackedUp: c.Flags.BackupState, Format: c.AttestationFormat,
	})
	if err != nil {
		return nil, factor.Credential{}, fmt.Errorf("encoding a key: %w", err)
	}
	about := factor.Credential{Name: productName(c.Authenticator.AAGUID), Synced: c.Flags.BackupEligible, Verified: c.Flags.UserVerified}
	return raw, about, nil
}

func credentialsOf(states [][]byte) ([]webauthn.Credential, error) {
	credentials := make([]webauthn.Credential, len(states))
	for i, raw := range states {
		var s state
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, fmt.Errorf("reading a stored key: %w", err)
		}
		credentials[i] = webauthn.Credential{
			ID: s.ID, PublicKey: s.Key, Transport: s.Transport, AttestationFormat: s.Format,
			Flags:         webauthn.CredentialFlags{UserPresent: true, UserVerified: s.Verified, BackupEligible: s.Eligible, BackupState: s.BackedUp},
			Authenticator: webauthn.Authenticator{AAGUID: s.AAGUID, SignCount: s.Count},
		}
	}
	return credentials, nil
}

func encode(c ceremony, options any) (remember, forBrowser []byte, err error) {
	if remember, err = json.Marshal(c); err == nil {
		forBrowser, err = json.Marshal(options)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("encoding a ceremony: %w", err)
	}
	return remember, forBrowser, nil
}

func decode(remember []byte) (ceremony, error) {
	var c ceremony
	if err := json.Unmarshal(remember, &c); err != nil {
		return c, fmt.Errorf("reading a ceremony: %w", err)
	}
	return c, nil
}

// parse reads a browser's response: JSON with CBOR inside, both from whoever
// sends it.
func parse[T any](response []byte, by func([]byte) (*T, error)) (*T, error) {
	if len(response) > maxResponse {
		return nil, fmt.Errorf("%w: %d bytes", factor.ErrMalformed, len(response))
	}
	parsed, err := by(response)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", factor.ErrMalformed, detail(err))
	}
	return parsed, nil
}

func incorrect(err error) error {
	return fmt.Errorf("%w: %s", factor.ErrIncorrect, detail(err))
}

// detail is what the library says for operators.
func detail(err error) string {
	var e *protocol.Error
	if errors.As(err, &e) && e.DevInfo != "" {
		return e.Details + ": " + e.DevInfo
	}
	return err.Error()
}

// Interface guard
var _ factor.Keys = (*Keys)(nil)
