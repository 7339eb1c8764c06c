package web

import (
	"fmt"
	"strings"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/mail"
)

// Letter turns a letter into the words of a mail, in plain text.
func (r *Renderer) Letter(l mail.Letter) (subject, text string, err error) {
	about, body := r.letter(l)
	if about.Key == "" {
		return "", "", fmt.Errorf("no letter about %q", l.About)
	}
	if subject, err = r.texts.text("", about); err != nil {
		return "", "", err
	}
	var b strings.Builder
	for _, paragraph := range append(body, say("mail.end", "service", l.Name, "address", l.To)) {
		said := l.Link
		if paragraph.Key != "" {
			if said, err = r.texts.text("", paragraph); err != nil {
				return "", "", err
			}
		}
		b.WriteString(said + "\n\n")
	}
	return plainLine(subject), strings.TrimSpace(b.String()) + "\n", nil
}

// plainLine keeps a name from adding lines to a subject.
func plainLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// theLink stands for the letter's link, on a line of its own.
var theLink Text

// letter says what a letter is about, and its paragraphs.
func (r *Renderer) letter(l mail.Letter) (about Text, body []Text) {
	when, _ := r.texts.when("", l.At) // the catalogue's tests hold its texts
	happened := say("mail.happened", "when", when)
	if l.Network != "" {
		happened = say("mail.happenedfrom", "when", when, "network", l.Network)
	}
	security := func(about, what Text) (Text, []Text) {
		return about, []Text{what, happened, say("mail.notyou"), theLink}
	}
	kind := say("kind.totp")
	if l.What == "webauthn" {
		kind = say("kind.webauthn")
	}
	name, _ := r.texts.text("", kind)
	switch l.About {
	case mail.AboutEnrolled:
		return security(say("mail.enrolled.subject", "service", l.Name), say("mail.enrolled.text", "kind", name))
	case mail.AboutRemoved:
		return security(say("mail.removed.subject", "service", l.Name), say("mail.removed.text", "name", l.What))
	case mail.AboutPassword:
		return security(say("mail.password.subject", "service", l.Name), say("mail.password.text"))
	case mail.AboutRecovery:
		return security(say("mail.recovery.subject", "service", l.Name), say("mail.recovery.text"))
	case mail.AboutLocked:
		return security(say("mail.locked.subject", "service", l.Name), say("mail.locked.text", "kind", name))
	case mail.AboutForgot:
		until, _ := r.texts.when("", l.Until)
		return say("mail.forgot.subject", "service", l.Name), []Text{say("mail.forgot.text"), theLink, say("mail.until", "when", until), say("mail.forgot.notyou")}
	case mail.AboutElsewhere:
		return say("mail.forgot.subject", "service", l.Name), []Text{say("mail.elsewhere.text"), theLink, say("mail.forgot.notyou")}
	case mail.AboutProofMissing:
		end, _ := r.texts.when("", l.At.Add(admin.UnverifyAfter))
		return say("mail.proofmissing.subject", "service", l.Name, "domain", l.What),
			[]Text{say("mail.proofmissing.text", "domain", l.What, "when", when), say("mail.proofmissing.end", "when", end), theLink}
	case mail.AboutUnverified:
		return say("mail.unverified.subject", "service", l.Name, "domain", l.What), []Text{say("mail.unverified.text", "domain", l.What), theLink}
	case mail.AboutPlan:
		return say("mail.plan.subject", "account", l.Name, "when", when), []Text{say("mail.plan.text", "account", l.Name, "when", when), say("mail.plan.how"), theLink}
	case mail.AboutInvitation:
		until, _ := r.texts.when("", l.Until)
		what := say("mail.invitation.text", "account", l.Name)
		if l.By != "" {
			what = say("mail.invitation.by", "who", l.By, "account", l.Name)
		}
		return say("mail.invitation.subject", "account", l.Name), []Text{what, theLink, say("mail.until", "when", until), say("mail.invitation.unknown")}
	case mail.AboutOffer:
		until, _ := r.texts.when("", l.Until)
		return say("mail.offer.subject", "account", l.Name), []Text{say("mail.offer.text", "account", l.Name), theLink, say("mail.until", "when", until), say("mail.offer.factor")}
	case mail.AboutDeleted:
		return say("mail.deleted.subject", "service", l.Name), []Text{say("mail.deleted.text"), happened, say("mail.deleted.notyou"), theLink}
	case mail.AboutReset:
		return security(say("mail.reset.subject", "service", l.Name), say("mail.reset.text"))
	}
	return Text{}, nil
}
