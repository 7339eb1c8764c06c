package integration_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// echo is a legacy app that says what it received.
func echo(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cookies":
			w.Header().Add("Set-Cookie", "mfa=stolen; Path=/")
			w.Header().Add("Set-Cookie", "mfa-known=; Max-Age=0")
			w.Header().Add("Set-Cookie", "app=1")
			w.Header().Set("Clear-Site-Data", `"cookies"`)
		case "/upload":
			sum := sha256.New()
			n, err := io.Copy(sum, r.Body)
			fmt.Fprintf(w, "%d %x %v", n, sum.Sum(nil), err)
			return
		case "/events": // tells something once, and then waits
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: hello\n\n")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		case "/drip": // tells something now and then
			for tick := time.Tick(50 * time.Millisecond); ; <-tick {
				if _, err := io.WriteString(w, "drip\n"); err != nil || http.NewResponseController(w).Flush() != nil || r.Context().Err() != nil {
					return
				}
			}
		case "/download": // never ends
			w.Header().Set("Content-Length", fmt.Sprint(int64(1)<<40))
			for block := make([]byte, 16<<10); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		case "/socket":
			conn, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			sum := sha256.Sum256([]byte(r.Header.Get("Sec-WebSocket-Key")))
			fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\nX-User: %s\r\n\r\n",
				base64.StdEncoding.EncodeToString(sum[:20]), r.Header.Get("Remote-Email"))
			io.Copy(conn, rw)
			return
		}
		json.NewEncoder(w).Encode(r.Header)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// TestApp stands between people and one app.
func TestApp(t *testing.T) {
	t.Parallel()
	g := start(t, in(echo(t)), replace("\n\tmfa\n", "\n\tlog\n\tmfa {\n\t\tpublic /public/*\n\t}\n"+
		"\theader >X-Who \"{http.auth.user.id} {http.auth.user.email} {http.auth.user.account} {http.auth.user.role} {http.auth.user.amr}\"\n"))
	g.each(t, []subtest{
		{"identity is ours", identityIsOurs},
		{"the app cannot touch our cookies", appCannotTouchOurCookies},
		{"bodies pass", bodiesPass},
		{"upgrades pass", upgradesPass},
		{"what goes on for long is cut off", whatGoesOnForLongIsCutOff},
		{"placeholders and access log", placeholdersAndAccessLog},
	})
}

// identityIsOurs sends every identity header in many spellings, as a client that
// wants to be somebody else, and looks at what the app gets.
func identityIsOurs(t *testing.T, g *gate) {
	p := g.person(t)
	p.signIn("member@aurora.example", "/").is(t, 200)
	host := strings.TrimPrefix(g.address, "http://")
	var forged strings.Builder
	for _, name := range []string{"Remote-User", "Remote-Email", "Remote-Name", "Remote-Groups", "X-Mfa-Account", "X-Mfa-Role", "X-Mfa-Amr", "X-Mfa-Assertion"} {
		for _, spelling := range []string{name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"),
			strings.ToLower(strings.ReplaceAll(name, "-", "_")), strings.Replace(name, "-", "_", 1),
			strings.ReplaceAll(name, "-", ".")} {
			fmt.Fprintf(&forged, "%s: forged\r\n", spelling)
		}
	}
	ask := func(path, cookie string) http.Header {
		t.Helper()
		answer, _ := g.raw("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\nCookie: " + cookie + "\r\n" + forged.String() + "\r\n")
		if strings.Contains(answer, "forged") {
			t.Errorf("%s: the app got\n%s", path, answer)
		}
		res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		got := http.Header{}
		if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
			t.Fatalf("%v\n%s", err, answer)
		}
		return got
	}
	got := ask("/orders", "other=1; mfa="+p.cookie("mfa")+"; mfa-known="+p.cookie("mfa-known"))
	want := map[string]string{"Remote-Email": "member@aurora.example", "Remote-Name": "Aurora Member", "Remote-Groups": "aurora:member",
		"X-Mfa-Account": "aurora", "X-Mfa-Role": "member", "X-Mfa-Amr": "pwd", "Cookie": "other=1"}
	for name, value := range want {
		if !slices.Equal(got.Values(name), []string{value}) {
			t.Errorf("%s is %q, want %q", name, got.Values(name), value)
		}
	}
	if got.Get("Remote-User") == "" || strings.Contains(got.Get("Remote-User"), "@") {
		t.Errorf("Remote-User is %q", got.Get("Remote-User"))
	}
	checkAssertion(t, g, got.Get("X-Mfa-Assertion"), got.Get("Remote-User"))

	public := ask("/public/logo", "mfa="+p.cookie("mfa"))
	for _, name := range slices.Sorted(maps.Keys(public)) {
		if strings.HasPrefix(name, "Remote-") || strings.HasPrefix(name, "X-Mfa-") {
			t.Errorf("a public path told the app %s", name)
		}
	}
}

// checkAssertion verifies a token as an app does: with the published keys.
func checkAssertion(t *testing.T, g *gate, token, user string) {
	t.Helper()
	type key struct{ Kid, Kty, Crv, X, Y, Alg, Use string }
	var set struct{ Keys []key }
	pg := g.person(t).get("/.mfa/jwks.json").is(t, 200)
	if err := json.Unmarshal([]byte(pg.body), &set); err != nil || len(set.Keys) == 0 {
		t.Fatalf("%v in %s", err, pg.body)
	}
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, func(token *jwt.Token) (any, error) {
		for _, k := range set.Keys {
			if k.Kid == token.Header["kid"] {
				return publicKey(k.X, k.Y)
			}
		}
		return nil, fmt.Errorf("no key %v", token.Header["kid"])
	}, jwt.WithValidMethods([]string{"ES256"}), jwt.WithAudience("localhost"), jwt.WithIssuer("caddymfa"), jwt.WithExpirationRequired())
	if err != nil {
		t.Fatal(err)
	}
	if claims["sub"] != user || claims["acct"] != "aurora" || claims["role"] != "member" || claims["email"] != "member@aurora.example" ||
		claims["sid"] == nil || claims["auth_time"] == nil || fmt.Sprint(claims["amr"]) != "[pwd]" {
		t.Errorf("the assertion says %v", claims)
	}
}

// appCannotTouchOurCookies: what the app sets is its own.
func appCannotTouchOurCookies(t *testing.T, g *gate) {
	p := g.person(t)
	p.signIn("member@aurora.example", "/").is(t, 200)
	before := p.cookie("mfa")
	pg := p.get("/cookies").is(t, 200)
	if got := pg.header.Values("Set-Cookie"); !slices.Equal(got, []string{"app=1"}) {
		t.Errorf("the browser was told %q", got)
	}
	if p.cookie("mfa") != before {
		t.Error("the app replaced the session")
	}
	p.get("/").is(t, 200)
}

// bodiesPass: a large upload arrives whole.
func bodiesPass(t *testing.T, g *gate) {
	p := g.person(t)
	p.signIn("member@aurora.example", "/").is(t, 200)
	body := strings.Repeat("0123456789abcdef", 4<<20) // 64 MiB
	sum := sha256.Sum256([]byte(body))
	want := fmt.Sprintf("%d %s <nil>", len(body), hex.EncodeToString(sum[:]))
	if pg := p.ask(http.MethodPut, "/upload", body); pg.status != 200 || pg.body != want {
		t.Errorf("%d %.200s, want %s", pg.status, pg.body, want)
	}
}

// upgradesPass talks through a WebSocket's connection, both ways.
// upgrade asks the app for a WebSocket.
func (g *gate) upgrade(t *testing.T, cookie string) (*http.Response, *bufio.Reader, net.Conn) {
	t.Helper()
	host := strings.TrimPrefix(g.address, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nCookie: mfa=%s\r\n\r\n", host, cookie)
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res, in, conn
}

func upgradesPass(t *testing.T, g *gate) {
	p := g.person(t)
	p.signIn("member@aurora.example", "/").is(t, 200)
	res, in, conn := g.upgrade(t, p.cookie("mfa"))
	if res.StatusCode != 101 || res.Header.Get("X-User") != "member@aurora.example" {
		t.Fatalf("%d for %s", res.StatusCode, res.Header.Get("X-User"))
	}
	for _, word := range []string{"ping\n", "and again\n"} {
		io.WriteString(conn, word)
		if got, err := in.ReadString('\n'); got != word {
			t.Fatalf("%q came back as %q, %v", word, got, err)
		}
	}
	if res, _, _ := g.upgrade(t, "none"); res.StatusCode != 401 {
		t.Errorf("a stranger's upgrade: %d", res.StatusCode)
	}
}

// whatGoesOnForLongIsCutOff ends the session of somebody who has all kinds of
// streams open. Those of somebody else go on, who proves more meanwhile.
func whatGoesOnForLongIsCutOff(t *testing.T, g *gate) {
	stays := g.person(t)
	stays.send(stays.signIn("member@borealis.example", "/"), "/.mfa/suggest/later")
	_, in, conn := g.upgrade(t, stays.cookie("mfa"))
	goes := func() (over func() []string) {
		p := g.person(t)
		p.signIn("member@aurora.example", "/").is(t, 200)
		open := map[string]func() error{}
		_, socket, _ := g.upgrade(t, p.cookie("mfa"))
		open["the socket"] = func() error { _, err := io.Copy(io.Discard, socket); return err }
		for path, accept := range map[string]string{"/events": "text/event-stream", "/drip": "*/*", "/download": "*/*"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.address+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", accept)
			r.Header.Set("Cookie", "mfa="+p.cookie("mfa"))
			res, err := transport().RoundTrip(r)
			if err != nil || res.StatusCode != 200 {
				t.Fatalf("%s: %v, %v", path, res, err)
			}
			t.Cleanup(func() { res.Body.Close() })
			open[path] = func() error { _, err := io.Copy(io.Discard, res.Body); return err }
		}
		ended := make(chan string, len(open))
		for name, wait := range open {
			go func() { wait(); ended <- name }()
		}
		return func() []string {
			for len(open) > 0 {
				select {
				case name := <-ended:
					delete(open, name)
				default:
					return slices.Sorted(maps.Keys(open))
				}
			}
			return nil
		}
	}
	for n := range 2 {
		over := goes()
		if open := over(); len(open) != 4 {
			t.Fatalf("open are only %q", open)
		}
		if n == 0 {
			before := stays.cookie("mfa")
			stays.enroll(stays.open("/.mfa/enroll/totp")).is(t, 200)
			if res, _, _ := g.upgrade(t, before); res.StatusCode != 401 {
				t.Fatalf("the session did not go on under another id: %d", res.StatusCode)
			}
		}
		g.operate(http.MethodDelete, "users/member@aurora.example/sessions", "")
		g.until("all that was open is cut off", func() bool { return len(over()) == 0 })
	}
	io.WriteString(conn, "still there\n")
	if got, err := in.ReadString('\n'); got != "still there\n" {
		t.Errorf("somebody else's socket answers %q, %v", got, err)
	}
}

func publicKey(x, y string) (*ecdsa.PublicKey, error) {
	xs, err := base64.RawURLEncoding.DecodeString(x)
	if err != nil {
		return nil, err
	}
	ys, err := base64.RawURLEncoding.DecodeString(y)
	if err != nil {
		return nil, err
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, xs, ys))
}

// placeholdersAndAccessLog: what the configuration around the gate can use.
func placeholdersAndAccessLog(t *testing.T, g *gate) {
	p := g.person(t)
	p.get("/x").is(t, 303)
	p.signIn("member@aurora.example", "/").is(t, 200)
	pg := p.get("/orders").is(t, 200)
	id, rest, _ := strings.Cut(pg.header.Get("X-Who"), " ")
	if len(id) != 22 || rest != "member@aurora.example aurora member pwd" {
		t.Errorf("the placeholders say %q", pg.header.Get("X-Who"))
	}
	for _, field := range []string{`"mfa":"no_session"`, `"mfa":"policy_optional"`, `"user_id":"` + id + `"`} {
		g.until("the access log has "+field, func() bool { return strings.Contains(g.log.String(), field) })
	}
}

// TestStreamsPass: what the app flushes reaches the client before the app goes
// on.
func TestStreamsPass(t *testing.T) {
	t.Parallel()
	step := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n", i)
			w.(http.Flusher).Flush()
			select {
			case <-step:
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	g := start(t, in(s.Listener.Addr().String()))
	p := g.person(t)
	p.signIn("member@aurora.example", "/.mfa/profile").is(t, 200)
	res, err := p.client.Get(g.address + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for i := range 3 {
		if !lines.Scan() || lines.Text() != fmt.Sprintf("data: %d", i) {
			t.Fatalf("line %d is %q, %v", i, lines.Text(), lines.Err())
		}
		step <- struct{}{}
	}
}
