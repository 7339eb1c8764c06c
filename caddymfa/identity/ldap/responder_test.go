package ldap

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/caddymfa/gateway/caddymfa/identity/ldap/sambatest"
	"github.com/caddymfa/gateway/caddymfa/internal/freeport"
)

// responder is a controller that does as it is told: for what a real one never
// does, and for knowing what it was asked.
type responder struct {
	address string
	config  *tls.Config
	ca      string

	binds, searches, connections atomic.Int64

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
	bind     func(name, password string) (code int, text string)
	entries  func(filter string) []entry
	raw      func(net.Conn, *ber.Packet) bool // answers a request itself; true: it did
}

type entry struct {
	dn         string
	attributes map[string][]string
}

// someone is the entry of somebody whose password is "right".
var someone = entry{"CN=Ana,DC=corp,DC=example", map[string][]string{
	"objectGUID": {"\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff"}, "userPrincipalName": {"ana@acme.example"}, "sAMAccountName": {"ana"},
}}

// respond runs one that knows someone.
func respond(t *testing.T) *responder {
	t.Helper()
	ca, key := sambatest.Certificate(t, "127.0.0.1")
	pair, err := tls.X509KeyPair([]byte(ca), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	r := &responder{ca: ca, config: &tls.Config{Certificates: []tls.Certificate{pair}}, open: make(map[net.Conn]bool)}
	r.bind = func(_, password string) (int, string) {
		if password != "right" {
			return ldap.LDAPResultInvalidCredentials, "80090308: LdapErr: DSID-0C090446, comment: AcceptSecurityContext error, data 52e, v2580"
		}
		return 0, ""
	}
	r.entries = func(string) []entry { return []entry{someone} }
	port, err := freeport.Take() // to listen there again after a stop
	if err != nil {
		t.Fatal(err)
	}
	r.start(t, fmt.Sprintf("127.0.0.1:%d", port))
	t.Cleanup(r.stop)
	return r
}

// start makes it listen.
func (r *responder) start(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.listener, r.address = l, l.Addr().String()
	r.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.connections.Add(1)
			go r.serve(tls.Server(c, r.config))
		}
	}()
}

// stop ends it and cuts its connections.
func (r *responder) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listener.Close()
	for c := range r.open {
		c.Close()
	}
}

// cut cuts its connections, and goes on listening.
func (r *responder) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.open {
		c.Close()
	}
}

func (r *responder) serve(c net.Conn) {
	r.mu.Lock()
	r.open[c] = true
	r.mu.Unlock()
	defer func() {
		c.Close()
		r.mu.Lock()
		delete(r.open, c)
		r.mu.Unlock()
	}()
	for {
		packet, err := ber.ReadPacket(c)
		if err != nil || len(packet.Children) < 2 {
			return
		}
		r.mu.Lock()
		bind, entries, raw := r.bind, r.entries, r.raw
		r.mu.Unlock()
		if raw != nil && raw(c, packet) {
			continue
		}
		id, request := packet.Children[0].Value.(int64), packet.Children[1]
		switch request.Tag {
		case ldap.ApplicationBindRequest:
			r.binds.Add(1)
			code, text := bind(request.Children[1].Value.(string), request.Children[2].Data.String())
			c.Write(message(id, ldap.ApplicationBindResponse, result(code, text)...))
		case ldap.ApplicationSearchRequest:
			r.searches.Add(1)
			filter, err := ldap.DecompileFilter(request.Children[6])
			if err != nil {
				return
			}
			if request.Children[0].Value.(string) != "" { // else: the root, asked whether we live
				for _, e := range entries(filter) {
					c.Write(message(id, ldap.ApplicationSearchResultEntry, e.encode()...))
				}
			}
			c.Write(message(id, ldap.ApplicationSearchResultDone, result(0, "")...))
		default:
			return
		}
	}
}

func octets(value string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, value, "")
}

func message(id int64, tag ber.Tag, children ...*ber.Packet) []byte {
	m := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	for _, child := range children {
		op.AppendChild(child)
	}
	m.AppendChild(op)
	return m.Bytes()
}

func result(code int, text string) []*ber.Packet {
	return []*ber.Packet{ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""), octets(""), octets(text)}
}

func (e entry) encode() []*ber.Packet {
	list := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	for name, values := range e.attributes {
		attribute := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
		attribute.AppendChild(octets(name))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, value := range values {
			set.AppendChild(octets(value))
		}
		attribute.AppendChild(set)
		list.AppendChild(attribute)
	}
	return []*ber.Packet{octets(e.dn), list}
}
