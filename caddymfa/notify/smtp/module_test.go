package smtp

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestCaddyfile(t *testing.T) {
	var m Module
	if err := m.UnmarshalCaddyfile(caddyfile.NewTestDispenser(`smtp mail.example.com:587 {
		from "Portal <portal@example.com>"
		username {env.SMTP_USER}
		password {file./run/secrets/smtp}
		tls implicit
		trusted_ca_file /etc/ssl/mail.pem
		timeout 10s
	}`)); err != nil {
		t.Fatal(err)
	}
	want := Module{
		Server: "mail.example.com:587", From: "Portal <portal@example.com>", Username: "{env.SMTP_USER}", Password: "{file./run/secrets/smtp}",
		TLS: "implicit", TrustedCAFile: "/etc/ssl/mail.pem", Timeout: caddy.Duration(10 * time.Second),
		host: "mail.example.com", port: 587, domain: "example.com", timeout: 10 * time.Second,
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got %+v, want %+v", m, want)
	}
}

func TestDefaults(t *testing.T) {
	for server, want := range map[string]string{"mail.example.com:465": tlsImplicit, "mail.example.com:587": tlsStart, "[2001:db8::1]:25": tlsStart} {
		m := Module{Server: server, From: "portal@example.com"}
		if err := m.check(); err != nil || m.TLS != want || m.timeout != 30*time.Second {
			t.Errorf("%s: %s, %s, %v", server, m.TLS, m.timeout, err)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	const start = "smtp mail.example.com:587 {\nfrom portal@example.com\n"
	for name, test := range map[string]struct{ input, says string }{
		"no server":             {"smtp", "needs the mail server"},
		"no port":               {"smtp mail.example.com {\nfrom a@example.com\n}", "expected host and port"},
		"two servers":           {"smtp a:25 b:25", "wrong argument count"},
		"no sender":             {"smtp a:25", "from \"\""},
		"a password in plain":   {start + "username a\npassword secret-word\n}", "must not stand in the configuration"},
		"a name alone":          {start + "username a\n}", "or neither"},
		"an unknown encryption": {start + "tls none\n}", "choose starttls or implicit"},
		"plaintext with a password": {start + "username a\npassword {env.A}\ninsecure_plaintext\n}",
			"goes with neither a password"},
		"plaintext with an argument": {start + "insecure_plaintext yes\n}", "wrong argument count"},
		"an option twice":            {start + "timeout 1s\ntimeout 2s\n}", "given twice"},
		"no time":                    {start + "timeout 0\n}", "expected a duration"},
		"an unknown option":          {start + "retries 3\n}", "unrecognized smtp option"},
	} {
		err := new(Module).UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.input))
		if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
	}
}
