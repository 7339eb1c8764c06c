package admin

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// zone is a DNS server on loopback that answers as the test says.
type zone struct {
	mu      sync.Mutex
	records map[string][]dns.RR // by name, with the dot
	rcode   map[string]int      // by name: what to answer instead
	silent  bool
}

// newZone starts a server, and returns it with a resolver that asks it.
func newZone(t *testing.T) (*zone, *net.Resolver) {
	t.Helper()
	z := &zone{records: make(map[string][]dns.RR), rcode: make(map[string]int)}
	packets, streams := listen(t)
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: z}, {Listener: streams, Handler: z}} {
		up := make(chan struct{})
		server.NotifyStartedFunc = func() { close(up) }
		go server.ActivateAndServe()
		<-up
		t.Cleanup(func() { server.Shutdown() })
	}
	return z, ResolverAt(packets.LocalAddr().String())
}

// listen takes one port for packets and for streams.
func listen(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if streams, err := net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			return packets, streams
		}
		packets.Close() // somebody else has the port for streams
	}
	t.Fatal("no port is free for both")
	return nil, nil
}

// ServeDNS implements [dns.Handler]. It follows CNAME records, as a resolver does.
func (z *zone) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.silent {
		return
	}
	name := strings.ToLower(r.Question[0].Name)
	answer := new(dns.Msg).SetReply(r)
	answer.RecursionAvailable = true
	answer.Rcode = dns.RcodeNameError
	for range 8 {
		found, ok := z.records[name]
		if !ok {
			break
		}
		answer.Rcode = dns.RcodeSuccess
		answer.Answer = append(answer.Answer, found...)
		alias, ok := found[0].(*dns.CNAME)
		if !ok {
			break
		}
		name = alias.Target
	}
	if code, ok := z.rcode[name]; ok {
		answer.Rcode, answer.Answer = code, nil
	}
	if w.LocalAddr().Network() == "udp" {
		answer.Truncate(dns.MinMsgSize)
	}
	w.WriteMsg(answer)
}

// put sets the records of a name, in the notation of zone files; none: the name
// does not exist.
func (z *zone) put(t *testing.T, name string, records ...string) {
	t.Helper()
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.records, name)
	delete(z.rcode, name)
	for _, text := range records {
		rr, err := dns.NewRR(name + " 60 IN " + text)
		if err != nil {
			t.Fatal(err)
		}
		z.records[name] = append(z.records[name], rr)
	}
}

// fail makes the server answer a name with an error.
func (z *zone) fail(name string, code int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.rcode[name] = code
}

// hush makes the server answer nobody.
func (z *zone) hush(silent bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.silent = silent
}

func TestALookTellsApartWhatDNSSays(t *testing.T) {
	z, resolver := newZone(t)
	s := &Service{DNS: resolver}
	d := storage.Domain{Name: "acme.example", Token: "T0KEN"}
	const at = "_caddymfa-challenge.acme.example."
	long := strings.Repeat("x", 250)
	for name, test := range map[string]struct {
		set  func()
		want string
	}{
		"the record":         {func() { z.put(t, at, `TXT "caddymfa=T0KEN"`) }, FoundProof},
		"in several strings": {func() { z.put(t, at, `TXT "caddy" "mfa=T0" "KEN"`) }, FoundProof},
		"among others":       {func() { z.put(t, at, `TXT "v=spf1 -all"`, `TXT "caddymfa=OTHER"`, `TXT "caddymfa=T0KEN"`) }, FoundProof},
		"too long for a packet": {func() {
			z.put(t, at, `TXT "`+long+`"`, `TXT "`+long+`y"`, `TXT "`+long+`z"`, `TXT "caddymfa=T0KEN"`)
		}, FoundProof},
		"behind an alias": {func() {
			z.put(t, "proofs.hoster.example.", `TXT "caddymfa=T0KEN"`)
			z.put(t, at, `CNAME proofs.hoster.example.`)
		}, FoundProof},
		"another claim's":       {func() { z.put(t, at, `TXT "caddymfa=OTHER"`) }, FoundOther},
		"in another spelling":   {func() { z.put(t, at, `TXT "caddymfa=t0ken"`) }, FoundOther},
		"with something around": {func() { z.put(t, at, `TXT " caddymfa=T0KEN"`) }, FoundOther},
		"no such name":          {func() { z.put(t, at) }, FoundNothing},
		"no TXT at the name":    {func() { z.put(t, at, `A 192.0.2.1`) }, FoundNothing},
		"an alias to nothing":   {func() { z.put(t, at, `CNAME gone.example.`) }, FoundNothing},
		"at the domain itself": {func() {
			z.put(t, at)
			z.put(t, "acme.example.", `TXT "caddymfa=T0KEN"`)
		}, FoundNothing},
		"a server that fails":   {func() { z.put(t, at); z.fail(at, dns.RcodeServerFailure) }, FoundFailure},
		"a server that refuses": {func() { z.put(t, at); z.fail(at, dns.RcodeRefused) }, FoundFailure},
		"a server that is mute": {func() { z.hush(true) }, FoundSilence},
	} {
		t.Run(name, func(t *testing.T) {
			z.hush(false)
			test.set()
			got, err := s.look(t.Context(), d)
			if err != nil || got != test.want {
				t.Errorf("found %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestAClaimWithoutATokenIsNeverProven(t *testing.T) {
	z, resolver := newZone(t)
	z.put(t, "_caddymfa-challenge.acme.example.", `TXT "caddymfa="`)
	got, err := (&Service{DNS: resolver}).look(t.Context(), storage.Domain{Name: "acme.example"})
	if err != nil || got != FoundOther {
		t.Errorf("found %q, %v", got, err)
	}
}
