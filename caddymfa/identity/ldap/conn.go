package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-ldap/ldap/v3"
)

const (
	// maxRead is how much a controller may say in one sign-in, encryption
	// included. A thousand groups take less than half of it.
	maxRead = 512 << 10
	// fresh is how long a connection may lie idle and be used without asking
	// whether it still works.
	fresh = 10 * time.Second
	// probe is how long that question may take.
	probe = time.Second
)

// conn is a connection to a controller. Who it is bound as is whoever used it
// last: each use begins with a bind.
type conn struct {
	*ldap.Conn
	raw  *metered
	at   *controller
	idle time.Time // since when
}

// connect returns an encrypted connection to a controller.
func (p *pool) connect(ctx context.Context, at *controller) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.dialTimeout)
	defer cancel()
	dialer := net.Dialer{ControlContext: p.permitted}
	tcp, err := dialer.DialContext(ctx, "tcp", at.address.String())
	if err != nil {
		return nil, err
	}
	c := &conn{raw: &metered{Conn: tcp}, at: at}
	c.raw.left.Store(maxRead)
	defer context.AfterFunc(ctx, func() { tcp.Close() })()
	config := p.settings.tls(at.address.host)
	if at.address.startTLS {
		c.Conn = ldap.NewConn(c.raw, false)
		c.Start()
		if err := c.StartTLS(config); err != nil {
			c.end()
			// Not %w: what it answers here is no answer about a person, and another
			// controller may well encrypt.
			return nil, fmt.Errorf("encrypting with StartTLS: %v", err)
		}
	} else {
		encrypted := tls.Client(c.raw, config)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			tcp.Close()
			return nil, fmt.Errorf("encrypting: %w", err)
		}
		c.Conn = ldap.NewConn(encrypted, true)
		c.Start()
	}
	return c, nil
}

// permitted refuses controllers in other networks than the operator's. It sees
// the address that is connected to, so that no name can stand for another one
// after it was looked at.
func (p *pool) permitted(_ context.Context, _, to string, _ syscall.RawConn) error {
	if len(p.networks) == 0 {
		return nil
	}
	at, err := netip.ParseAddrPort(to)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap().WithZone("")
	if !slices.ContainsFunc(p.networks, func(n netip.Prefix) bool { return n.Contains(ip) }) {
		return fmt.Errorf("%s is in none of the networks that directories may be in", ip)
	}
	return nil
}

// end closes a connection without waiting for the controller.
func (c *conn) end() {
	c.raw.Conn.Close()
	c.Close()
}

// works reports whether the controller still answers on an idle connection.
func (c *conn) works(now time.Time) bool {
	if c.IsClosing() {
		return false
	}
	if now.Sub(c.idle) < fresh {
		return true
	}
	timer := time.AfterFunc(probe, func() { c.raw.Conn.Close() })
	defer timer.Stop()
	_, err := c.Search(ldap.NewSearchRequest("", ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, 0, true, "(objectClass=*)", []string{"1.1"}, nil))
	return err == nil
}

// metered ends a connection on which the controller says more than an answer can
// be.
type metered struct {
	net.Conn
	left atomic.Int64
}

var errTooMuch = errors.New("the controller sends too much")

// Read implements [net.Conn].
func (m *metered) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	if m.left.Add(-int64(n)) < 0 {
		return 0, errTooMuch
	}
	return n, err
}
