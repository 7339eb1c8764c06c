package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// TestMain makes the test's own binary the Caddy that it measures.
func TestMain(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main()
		return
	}
	os.Exit(m.Run())
}

// TestLoad goes through everything with a few people. What is measured is for
// nobody; that it can be is.
func TestLoad(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			var out, progress bytes.Buffer
			err := run(t.Context(), []string{"-engines", engine, "-accounts", "3", "-users", "50", "-expired", "600", "-probes", "2", "-requests", "20", "-changes", "4"}, &out, &progress)
			if err != nil {
				t.Fatalf("%v\n%s", err, progress.String())
			}
			for _, want := range []string{"### " + engine + ": 3 accounts, 50 people", "| sign-in with password and code (6 requests) | empty |", "| sweeping 600 expired sessions |"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("printed\n%s\nwithout %q", out.String(), want)
				}
			}
		})
	}
}

func TestLoadIsForThisMachineOnly(t *testing.T) {
	for _, dsn := range []string{"postgres://db.example/mfa", "host=127.0.0.1 dbname=mfa", "postgres://127.0.0.1,db.example/mfa", "postgres://127.0.0.1/mfa?host=db.example", "postgres:///mfa"} {
		if err := run(t.Context(), []string{"-engines", "postgres", "-dsn", dsn}, &bytes.Buffer{}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "no other host") {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}
