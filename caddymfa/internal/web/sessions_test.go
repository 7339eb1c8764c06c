package web

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

var pastEnd = regexp.MustCompile(`<p class="detail">(Signed out|Ended [^<]*|Signed out at your company) <time datetime="([^"]*)"`)

// One sign-in is one line, whatever it was replaced by on the way, and each line
// says when and how it ended.
func TestPastSessions(t *testing.T) {
	w, _ := administered(t)
	begun, limits := w.now(), w.Login.Sessions.Limits
	open := func(browser string) storage.Session {
		s := storage.Session{ID: session.NewID(), User: "u-bea", Created: w.now(), Seen: w.now(), Expires: w.now().Add(limits.Absolute),
			Browser: browser, Network: "192.0.2.7", Proof: mfa.Proof{User: "u-bea", First: w.now(), FirstBy: mfa.ByPassword}}
		if err := w.store.CreateSession(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	open("curl/1")
	kept := open("curl/2")
	busy, err := w.store.UpdateSession(t.Context(), kept.ID, func(s *storage.Session) error { s.Seen = begun.Add(limits.Absolute - time.Minute); return nil })
	if err != nil {
		t.Fatal(err)
	}
	w.pass(24 * time.Hour)
	stepped := open("Firefox/1 Linux")
	w.pass(time.Minute)
	next := stepped
	next.ID, next.Seen, next.Proof.Second, next.Proof.SecondBy = session.NewID(), w.now(), w.now(), mfa.TOTP
	if err := w.store.ReplaceSession(t.Context(), stepped.ID, next, w.now()); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Minute)
	out := w.now()
	if err := w.store.RevokeSession(t.Context(), "u-bea", next.ID, out); err != nil {
		t.Fatal(err)
	}
	bea := w.as("u-bea", "", false)
	bea.shows(bea.get("/.mfa/profile/sessions"), http.StatusOK, "Where you were signed in", "password + authenticator app")
	_, past, _ := strings.Cut(bea.page, `id="past"`)
	var got []string
	for _, m := range pastEnd.FindAllStringSubmatch(past, -1) {
		got = append(got, m[1]+" "+m[2])
	}
	ended := []string{"Ended by itself, at the longest time " + stamp(busy.Expires), "Ended by itself, as nobody used it " + stamp(begun.Add(limits.Idle))}
	if want := "Signed out " + stamp(out); len(got) != 3 || got[0] != want || !slices.Contains(got, ended[0]) || !slices.Contains(got, ended[1]) {
		t.Errorf("got %q, want %q first, and %q", got, want, ended)
	}
	if n := strings.Count(past, "Firefox on Linux"); n != 1 {
		t.Errorf("one sign-in has %d lines", n)
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
