package storage_test

import (
	"strings"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

func TestAnAddressHasOneSpelling(t *testing.T) {
	for typed, want := range map[string]string{
		"ana@acme.example":                            "ana@acme.example",
		" Ana@ACME.example\n":                         "ana@acme.example",
		"ana@bücher.example":                          "ana@xn--bcher-kva.example",
		"ana@BÜCHER.example":                          "ana@xn--bcher-kva.example",
		"ana@bu\u0308cher.example":                    "ana@xn--bcher-kva.example",
		"ana@XN--bcher-KVA.example":                   "ana@xn--bcher-kva.example",
		"ana@ａｃｍｅ.example":                            "ana@acme.example", // full-width letters are the same name in DNS
		"zoë@acme.example":                            "zoë@acme.example",
		"ana+news@mail.acme.example":                  "ana+news@mail.acme.example",
		"o'neill@localhost":                           "o'neill@localhost",
		"a@evil.example@good.example":                 "",
		"a@evil.example＠good.example":                 "",
		"ana@acme..example":                           "",
		"ana@acme.example.":                           "",
		"ana@-acme.example":                           "",
		"ana@acme-.example":                           "",
		"ana@acme。example":                            "ana@acme.example", // the ideographic full stop is a dot
		"ana@acme.example\r\nBcc: x@y.z":              "",
		"@acme.example":                               "",
		"ana@":                                        "",
		"ana":                                         "",
		"ana@" + strings.Repeat("a", 64) + ".example": "",
		"ana@\u202eacme.example":                      "",
	} {
		got, err := storage.NormaliseEmail(typed)
		if (err != nil) != (want == "") || got != want {
			t.Errorf("%q: got %q, %v, want %q", typed, got, err, want)
		}
		if err == nil {
			if again, err := storage.NormaliseEmail(got); again != got || err != nil {
				t.Errorf("%q becomes %q, and that %q, %v", typed, got, again, err)
			}
		}
	}
}
