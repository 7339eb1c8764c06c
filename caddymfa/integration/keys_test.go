package integration_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// plugIn gives the browser an authenticator: one that is built in, makes sure of
// its owner and holds passkeys; or a plain security key to touch.
func (b *tab) plugIn(builtIn bool) webauthn.AuthenticatorID {
	b.t.Helper()
	command(b, webauthn.Enable, webauthn.EnableParams{})
	options := webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportUsb, AutomaticPresenceSimulation: true,
	}
	if builtIn {
		options.Transport = webauthn.AuthenticatorTransportInternal
		options.HasResidentKey, options.HasUserVerification, options.IsUserVerified = true, true, true
	}
	return command(b, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &options}).AuthenticatorID
}

// touch says whether the authenticator answers by itself, as if touched.
func (b *tab) touch(id webauthn.AuthenticatorID, does bool) {
	b.t.Helper()
	command(b, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: id, Enabled: does})
}

// credentials lists what the authenticator holds: ids, in base64.
func (b *tab) credentials(id webauthn.AuthenticatorID) []string {
	b.t.Helper()
	var ids []string
	for _, c := range command(b, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: id}).Credentials {
		ids = append(ids, base64.StdEncoding.EncodeToString(c.CredentialID))
	}
	return ids
}

// withoutSuggestions makes the browser one that has no suggestions of passkeys.
// With them, an authenticator that is always touched signs in unasked.
func (b *tab) withoutSuggestions() {
	b.t.Helper()
	command(b, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{
		Source: "PublicKeyCredential.isConditionalMediationAvailable = undefined",
	})
}

// addKey adds a key in the profile of whoever is signed in, and goes on.
func (b *tab) addKey(name string) {
	b.t.Helper()
	b.open("/.mfa/enroll/webauthn")
	b.at("/.mfa/enroll/webauthn", "Add a security key or passkey")
	b.fill("#name", name)
	b.submit("/.mfa/enroll/webauthn")
}

// leave signs out.
func (b *tab) leave() {
	b.t.Helper()
	b.open("/.mfa/accounts")
	b.submit("/.mfa/logout")
	b.at("/.mfa/signed-out")
}

// TestJourneyKey: a security key as the second factor of a person who must have
// one, from the first sign-in to the next.
func TestJourneyKey(t *testing.T) {
	t.Parallel()
	g := start(t)
	b := g.browse(t, "phone")
	b.plugIn(false)
	b.signIn("member@citadel.example", "/orders")
	b.at("/.mfa/enroll/totp")
	b.press(`a[href^="/.mfa/enroll/webauthn"]`)
	b.at("/.mfa/enroll/webauthn")
	b.shot("add")
	b.submit("/.mfa/enroll/webauthn")
	b.at("/.mfa/recovery-codes")
	b.press(`main a[href="/orders"]`)
	b.at("/orders", "in account citadel", "pwd,hwk,mfa")
	b.open("/.mfa/profile/security")
	b.at("/.mfa/profile/security", "Security key or passkey")
	b.shot("security")
	b.leave()

	b.signIn("member@citadel.example", "/orders")
	b.at("/.mfa/challenge")
	if b.visible("#code") {
		t.Error("a code is asked of somebody who has no app")
	}
	b.shot("challenge")
	b.submit("/.mfa/challenge/webauthn")
	b.at("/orders", "pwd,hwk,mfa")
}

// TestJourneyPasskey: a passkey is the whole sign-in; one that was removed is
// none any more.
func TestJourneyPasskey(t *testing.T) {
	t.Parallel()
	g := start(t)
	b := g.browse(t, "desk")
	b.signIn("member@aurora.example", "/")
	b.withoutSuggestions()
	b.plugIn(true)
	b.addKey("This device")
	b.at("/.mfa/recovery-codes")
	b.leave()

	b.open("/orders")
	b.at("/.mfa/login")
	b.wait(`!document.querySelector("form[action$=passkey]").hidden`)
	b.shot("login")
	b.submit("/.mfa/login/passkey")
	b.at("/orders", "in account aurora", "hwk,user,mfa")
	b.open("/.mfa/profile/sessions")
	b.at("/.mfa/profile/sessions", "passkey")

	b.open("/.mfa/profile/security")
	b.press(`form[action$="/remove"] button`)
	b.press("button.danger.solid")
	b.at("/.mfa/profile/security")
	b.leave()
	b.open("/orders")
	b.submit("/.mfa/login/passkey")
	b.at("/.mfa/login/passkey", "not accepted")
	b.shot("login-refused")
	if !b.visible("#email") {
		t.Error("after a refused passkey there is no other way in")
	}
}

// TestJourneyAutofill: the identifier page asks the browser quietly, and a
// passkey chosen from the field's suggestions signs in.
func TestJourneyAutofill(t *testing.T) {
	t.Parallel()
	g := start(t)
	b := g.browse(t, "desk")
	b.signIn("member@aurora.example", "/")
	id := b.plugIn(true)
	b.addKey("")
	b.touch(id, false)
	b.leave()
	b.open("/.mfa/login?return=/orders")
	if !get(b, chromedp.Evaluate[bool](`PublicKeyCredential.isConditionalMediationAvailable()`, chromedp.EvalAwaitPromise)) {
		t.Fatal("this Chromium has no suggestions of passkeys")
	}
	b.touch(id, true) // the suggestion is chosen
	b.run("location.reload()")
	b.arrive("/orders")
	b.at("/orders", "hwk,user,mfa")
}

// TestJourneyKeyGoesWrong: a prompt that is cancelled, an answer without user
// verification, and somebody else's key leave a page that still works.
func TestJourneyKeyGoesWrong(t *testing.T) {
	t.Parallel()
	g := start(t)
	b := g.browse(t, "desk")
	b.signIn("member@citadel.example", "/orders")
	b.enroll()
	b.withoutSuggestions()
	id := b.plugIn(true)
	b.addKey("This device")
	b.leave()

	// The prompt fails, as it does when a person cancels it: here, on another
	// device, which holds none of their keys.
	c := g.browse(t, "desk")
	c.withoutSuggestions()
	c.plugIn(true)
	c.totp = b.totp
	c.signIn("member@citadel.example", "/orders")
	c.at("/.mfa/challenge")
	c.wait(`!document.querySelector("form[action$=webauthn]").hidden`)
	c.do(chromedp.Click(chromedp.CSS("form[action$=webauthn] button")))
	c.wait(`!document.querySelector(".key-failed").hidden`)
	c.shot("cancelled")
	c.at("/.mfa/challenge", "did not work, or was stopped")
	c.answer()
	c.at("/orders", "pwd,otp,mfa")

	// An answer without user verification is none to a passkey's sign-in.
	bad := true
	command(b, webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: id, IsBadUV: &bad})
	b.open("/orders")
	b.submit("/.mfa/login/passkey")
	b.at("/.mfa/login/passkey", "not accepted")
	good := false
	command(b, webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: id, IsBadUV: &good})
	b.submit("/.mfa/login/passkey")
	b.at("/orders", "hwk,user,mfa")
	b.leave()

	// Somebody else, who knows the password of another person, answers with
	// a passkey of their own.
	b.signIn("member@aurora.example", "/")
	former := b.credentials(id)
	b.addKey("Another's")
	b.leave()
	others := slices.DeleteFunc(b.credentials(id), func(c string) bool { return slices.Contains(former, c) })
	if len(others) != 1 {
		t.Fatalf("the authenticator has %q more", others)
	}
	b.signIn("member@citadel.example", "/orders")
	b.at("/.mfa/challenge")
	b.load(chromedp.Evaluate[chromedp.Void](`(async (id) => {
		const form = document.querySelector("form[action$=webauthn]");
		const options = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(form.dataset.keyGet));
		options.allowCredentials = [{type: "public-key", id: Uint8Array.fromBase64(id)}];
		const credential = await navigator.credentials.get({publicKey: options});
		form.elements.response.value = JSON.stringify(credential.toJSON());
		form.dataset.answered = "yes";
		form.submit();
	})("` + others[0] + `")`))
	b.at("/.mfa/challenge/webauthn", "not accepted")
	b.open("/orders")
	b.at("/.mfa/challenge")
}

// TestJourneyKeysOnly: an account that accepts keys only leads people who have
// an app to add one, and their app opens the other accounts still.
func TestJourneyKeysOnly(t *testing.T) {
	t.Parallel()
	g := start(t)
	b := g.browse(t, "phone")
	b.signIn("member@citadel.example", "/orders")
	b.enroll()
	b.open("/orders")
	b.at("/orders", "pwd,otp,mfa")
	g.mfa("policy", "citadel", "required", "--accept", "webauthn")
	b.open("/orders?page=2")
	b.at("/.mfa/enroll/webauthn", "Citadel Health accepts security keys and passkeys only")
	b.shot("only")
	b.plugIn(false)
	b.submit("/.mfa/enroll/webauthn")
	b.at("/orders", "pwd,hwk,mfa")
	if out := g.mfa("explain", "--user", "member@citadel.example", "--account", "citadel", "--second", "totp"); !strings.Contains(out, "challenge") {
		t.Errorf("explain says\n%s", out)
	}
}

// TestJourneyKeyWithoutScript: without JavaScript a person with an app and a key
// still has the app.
func TestJourneyKeyWithoutScript(t *testing.T) {
	t.Parallel()
	g := start(t)
	b := g.browse(t, "phone")
	b.signIn("member@citadel.example", "/orders")
	b.enroll()
	b.plugIn(false)
	b.addKey("Blue key")
	b.leave()
	b.withoutScript()
	b.signIn("member@citadel.example", "/orders")
	b.at("/.mfa/challenge", "JavaScript")
	if b.visible("form[action$=webauthn]") {
		t.Error("a button is shown that does nothing")
	}
	b.shot("challenge")
	b.answer()
	b.at("/orders")
}

// TestJourneyOffer: who signs in with a code, on a device that holds passkeys, is
// invited to add one, and may; "Not now" is remembered there.
func TestJourneyOffer(t *testing.T) {
	t.Parallel()
	g := start(t)
	offered := func(email string) (*tab, webauthn.AuthenticatorID) {
		t.Helper()
		b := g.browse(t, "phone")
		id := b.plugIn(true)
		b.touch(id, false)
		b.signIn(email, "/orders")
		b.enroll()
		b.leave()
		b.signIn(email, "/orders")
		b.answer()
		b.at("/.mfa/enroll/offer")
		return b, id
	}
	b, _ := offered("member@citadel.example")
	b.shot("offer")
	b.submit("/.mfa/enroll/later")
	b.at("/orders", "pwd,otp,mfa")
	b.leave()
	b.signIn("member@citadel.example", "/orders")
	b.answer()
	b.at("/orders")

	b, id := offered("admin@citadel.example")
	b.touch(id, true)
	b.submit("/.mfa/enroll/webauthn")
	b.at("/orders")
}

// TestBadKeyAnswers: what is no answer is told as such, and is never a fault.
func TestBadKeyAnswers(t *testing.T) {
	t.Parallel()
	g := start(t)
	p := g.person(t)
	for _, response := range []string{
		"", "hello", `{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"_____w","authenticatorData":"_w","signature":"_w"}}`,
	} {
		login := p.open("/.mfa/login").is(t, 200)
		p.send(login, "/.mfa/login/passkey", "response", response).is(t, 400, "could not be read")
	}
	refusesBigForm(t, g, "/.mfa/login/passkey")

	p.signIn("member@citadel.example", "/")
	adding := p.open("/.mfa/enroll/webauthn").is(t, 200)
	p.send(adding, "/.mfa/enroll/webauthn", "response", "{").is(t, 400, "could not be read")
	p.send(adding, "/.mfa/enroll/webauthn", "response", "{").is(t, 400) // the page began anew
}
