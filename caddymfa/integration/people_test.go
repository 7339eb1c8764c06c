package integration_test

import "testing"

// TestJourneyPeople looks after an account's people, its programs and its audit in
// a browser, and joins as somebody who was invited.
func TestJourneyPeople(t *testing.T) {
	t.Parallel()
	g := start(t)
	g.mfa("user", "add", "lee@citadel.example", "--account", "citadel")
	b := g.browse(t, "phone")
	b.signIn("admin@citadel.example", "/")
	b.enroll()
	b.open("/.mfa/admin/people")
	b.at("/.mfa/admin/people", "Citadel Member", "Overdue", "Over time", "The figures")
	b.run(`document.querySelector("main details").open = true`)
	b.shot("people")
	b.fill("#search", "LEE@")
	b.press("form[role=search] button")
	b.at("/.mfa/admin/people", "lee@citadel.example")
	b.press(".rows .name a")
	b.at("/.mfa/admin/people/person", "No second step", "Make administrator", "Remove from the account")
	b.run(`for (const d of document.querySelectorAll("main details")) d.open = true`)
	b.shot("person")

	b.open("/.mfa/admin/people/invite")
	b.shot("invite")
	const invited = "new@citadel.example"
	b.fill("#email", invited)
	b.press("main form button")
	b.at("/.mfa/admin/people/invite", invited+" is invited")
	code := b.text("#invitation-code")
	g.secret(code)
	b.shot("invited")

	program := b.programs()
	b.audits()
	program.mails()
	b.revokes(program)

	b.open("/.mfa/profile")
	b.press("form[action$='/logout'] button")
	b.at("/.mfa/signed-out")
	b.open("/.mfa/invitation#" + code)
	b.wait(`document.getElementById("ticket").value !== "" && location.hash === ""`)
	b.shot("invitation")
	b.press("main form button")
	b.at("/.mfa/invitation", "Join Citadel Health", "Choose the password that "+invited)
	b.shot("joining")
	const chosen = "seven quiet herons by the weir"
	b.fill("#new", chosen)
	b.fill("#again", chosen)
	b.press("main form button")
	b.at("/.mfa/login", "You have joined.")
	b.press("main form button")
	b.at("/.mfa/login/password")
	b.fill("#password", chosen)
	b.submit("/.mfa/login/password")
	b.at("/.mfa/enroll/totp") // the account asks for a second step, of who was invited, too
}
