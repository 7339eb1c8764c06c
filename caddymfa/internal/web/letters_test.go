package web

import (
	"strings"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/internal/mail"
)

// letters holds every letter, as it is when it is being sent.
func letters() []mail.Letter {
	says := func(about string) mail.Letter {
		return mail.Letter{About: about, To: "ana@acme.example", Says: mail.Says{
			At: moment, By: "Ben", What: "totp", Network: "203.0.113.7", Name: "Acme Distribution", Until: moment, Link: "https://portal.example/.mfa/setup#ABCD",
		}}
	}
	key := says(mail.AboutEnrolled)
	key.What, key.Network = "webauthn", ""
	nobodys := says(mail.AboutInvitation)
	nobodys.By = ""
	return []mail.Letter{key, says(mail.AboutEnrolled), says(mail.AboutRemoved), says(mail.AboutPassword),
		says(mail.AboutRecovery), says(mail.AboutLocked), says(mail.AboutReset), says(mail.AboutDeleted),
		says(mail.AboutForgot), says(mail.AboutElsewhere), says(mail.AboutProofMissing), says(mail.AboutUnverified), says(mail.AboutPlan),
		says(mail.AboutInvitation), nobodys, says(mail.AboutOffer)}
}

func TestLetters(t *testing.T) {
	r := newRenderer(t)
	for _, l := range letters() {
		subject, text, err := r.Letter(l)
		if err != nil {
			t.Errorf("%s: %v", l.About, err)
			continue
		}
		if subject == "" || strings.ContainsAny(subject, "\r\n") || len(subject) > 120 {
			t.Errorf("%s: subject %q", l.About, subject)
		}
		if !strings.Contains(text, "\n\n"+l.Link+"\n\n") || !strings.Contains(text, l.Name) || !strings.Contains(text, l.To) {
			t.Errorf("%s: a link, a name or an address is missing:\n%s", l.About, text)
		}
		if strings.ContainsAny(text, "<>\r") || !strings.HasSuffix(text, ".\n") {
			t.Errorf("%s: not plain text:\n%s", l.About, text)
		}
	}
	if _, _, err := r.Letter(mail.Letter{About: "nothing"}); err == nil {
		t.Error("a letter about nothing was written")
	}
}

// A name is what somebody typed: it adds no line, and so no header.
func TestNamesAddNoLinesToSubjects(t *testing.T) {
	l := letters()[0]
	l.Name = "Acme\r\nBcc: everybody@example.com"
	subject, _, err := newRenderer(t).Letter(l)
	if err != nil || strings.ContainsAny(subject, "\r\n") {
		t.Errorf("subject %q, %v", subject, err)
	}
}
