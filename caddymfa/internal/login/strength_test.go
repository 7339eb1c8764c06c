package login

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func TestNewPasswords(t *testing.T) {
	ana := storage.User{Email: "ana.kowalczyk@aurora-trading.example", Name: "Ana Kowalczyk"}
	for _, each := range []struct {
		password string
		want     error
	}{
		{password, nil},
		{"four lucky clover leaves", nil},
		{"xkq7vbn2mzpl", nil},
		{"Füße im Schnee 7", nil},
		{strings.Repeat("ж", 5) + " снег идёт", nil},
		{"short", ErrPassword},
		{"elevenchars", ErrPassword},
		{"", ErrPassword},
		{strings.Repeat("x7", 128) + "y", ErrPassword},
		{"twelve\xff\xfecharacters", ErrPassword},
		{"password1234", ErrPasswordCommon},
		{"P@ssw0rd2026!", ErrPasswordCommon},
		{"passwordpassword", ErrPasswordCommon},
		{"qwertyuiop123", ErrPasswordCommon},
		{"qwertz123456", ErrPasswordCommon},
		{"123456789012", ErrPasswordCommon},
		{"aaaaaaaaaaaa", ErrPasswordCommon},
		{"abcabcabcabcabc", ErrPasswordCommon},
		{"Summer2026!!", ErrPasswordCommon},
		{strings.Repeat("a", MaxPassword), ErrPasswordCommon},
		{"ana.kowalczyk@aurora-trading.example", ErrPasswordOwn},
		{"Kowalczyk-1984", ErrPasswordOwn},
		{"kowalczyk kowalczyk", ErrPasswordOwn},
		{"aurora-trading", ErrPasswordOwn},
		{"Borealis Portal 1", ErrPasswordOwn},
		{"k0w4lczyk1984", ErrPasswordCommon},
		{"kowalczyk owns 7 pink goats", nil},
	} {
		if err := CheckNew(each.password, OwnWords(ana, "Borealis Portal")...); !errors.Is(err, each.want) {
			t.Errorf("%.40q: got %v, want %v", each.password, err, each.want)
		}
	}
	if err := CheckNew("Kowalczyk-1984!xp"); err != nil {
		t.Errorf("somebody else's name: %v", err)
	}
}

// What somebody makes up to keep the judge busy is cut off: without that, these
// take many seconds.
func TestJudgingAPasswordTakesBoundedTime(t *testing.T) {
	hostile := "es@tAE9P<!5@1OL+sE)|3 Le30op)p9s5LosA9A|+taoPO|z{6eo+90)0z){(|{Zst2p$i@2s$+tA2t{tt$i$4aL  e[0s"
	began := time.Now()
	if err := CheckNew(hostile, "ana"); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestWeakPasswordsCostNothing(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	w.person("kowalczyk@acme.example", "acme")
	s := w.signIn("kowalczyk@acme.example")
	for chosen, want := range map[string]error{"Summer2026!!": ErrPasswordCommon, "kowalczyk 1984": ErrPasswordOwn, password: ErrPasswordSame} {
		if err := w.ChangePassword(t.Context(), client, &s, password, chosen); !errors.Is(err, want) {
			t.Errorf("changing to %q: got %v, want %v", chosen, err, want)
		}
	}
	code, _, err := w.CreateSetUp(t.Context(), s.User)
	if err != nil {
		t.Fatal(err)
	}
	for chosen, want := range map[string]error{"Summer2026!!": ErrPasswordCommon, "kowalczyk 1984": ErrPasswordOwn} {
		if err := w.SetUp(t.Context(), client, code, chosen); !errors.Is(err, want) {
			t.Errorf("setting up with %q: got %v, want %v", chosen, err, want)
		}
		// Whether the name is in it is nobody's to learn without the code.
		if err := w.SetUp(t.Context(), client, "WRONG"+code, chosen); !errors.Is(err, ErrStartAgain) {
			t.Errorf("without a code, %q: %v", chosen, err)
		}
	}
	if w.over(s) {
		t.Error("a refused password ended a session")
	}
	if err := w.SetUp(t.Context(), client, code, "four lucky clover leaves"); err != nil {
		t.Errorf("the code was spent on a refused password: %v", err)
	}
}
