package login

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/seal"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Linking is how an account linked a provider: what stands, sealed, in the
// settings of the provider's row.
type Linking struct {
	// Join lets people whom the provider vouches for, with an address of a domain
	// that the account has verified, become members by signing in.
	Join bool `json:"join,omitempty"`
	// Admins names groups of the provider. If there are any, whoever comes through
	// it is an administrator if they are in one, and else a member.
	Admins []string `json:"admins,omitempty"`
	// Source holds the settings of the provider's kind.
	Source json.RawMessage `json:"source"`
}

// administers reports whether one of somebody's groups makes administrators.
func (l Linking) administers(groups []string) bool {
	return slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(l.Admins, g) })
}

// Companies are the identity providers of all accounts. A provider is opened
// when it is first needed and kept until its row changes.
type Companies struct {
	Store   storage.Storage
	Box     *seal.Box
	Sources map[string]identity.Source // by kind

	mu     sync.Mutex
	opened map[string]*opened
	closed bool
}

// opened is a provider that can be asked.
type opened struct {
	sealed   []byte // the settings that it was opened with
	linking  Linking
	provider identity.Provider
}

// errNoProvider means that a provider is gone, or was switched off.
var errNoProvider = errors.New("no such identity provider")

// Check says what is wrong with a provider's settings, and returns the issuer
// that its row is of.
func (co *Companies) Check(kind string, l Linking) (issuer string, err error) {
	source, ok := co.Sources[kind]
	if !ok {
		return "", fmt.Errorf("there is no kind of identity provider %q", kind)
	}
	return source.Check(l.Source)
}

// Seal makes the settings of a provider's row.
func (co *Companies) Seal(id string, l Linking) ([]byte, error) {
	raw, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encoding the settings of identity provider %q: %w", id, err)
	}
	return co.Box.Seal(raw, "identity_providers", id, "settings"), nil
}

// Unseal reads what Seal made.
func (co *Companies) Unseal(row storage.IdentityProvider) (Linking, error) {
	var l Linking
	raw, err := co.Box.Open(row.Settings, "identity_providers", row.ID, "settings")
	if err == nil {
		err = json.Unmarshal(raw, &l)
	}
	if err != nil {
		return l, fmt.Errorf("opening the settings of identity provider %q: %w", row.ID, err)
	}
	return l, nil
}

// provider returns a linked provider, ready to be asked.
func (co *Companies) provider(ctx context.Context, id string) (storage.IdentityProvider, *opened, error) {
	row, err := co.Store.Provider(ctx, id)
	if errors.Is(err, storage.ErrNotFound) || err == nil && row.Disabled {
		return row, nil, errNoProvider
	}
	if err != nil {
		return row, nil, err
	}
	co.mu.Lock()
	defer co.mu.Unlock()
	if co.closed { // a request that outlived the configuration it came in by
		return row, nil, fmt.Errorf("identity provider %q: %w", id, identity.ErrUnavailable)
	}
	former := co.opened[id]
	if former != nil && bytes.Equal(former.sealed, row.Settings) {
		return row, former, nil
	}
	source, ok := co.Sources[row.Kind]
	if !ok {
		return row, nil, fmt.Errorf("identity provider %q is of the kind %q, which is not built in", id, row.Kind)
	}
	l, err := co.Unseal(row)
	if err != nil {
		return row, nil, err
	}
	p, err := source.Open(context.WithoutCancel(ctx), l.Source)
	if err != nil {
		return row, nil, fmt.Errorf("opening identity provider %q: %w", id, err)
	}
	if co.opened == nil {
		co.opened = make(map[string]*opened)
	}
	o := &opened{sealed: row.Settings, linking: l, provider: p}
	co.opened[id] = o
	if former != nil {
		if err := former.provider.Close(); err != nil {
			return row, nil, fmt.Errorf("closing the former identity provider %q: %w", id, err)
		}
	}
	return row, o, nil
}

// Close releases what the providers hold. None can be asked afterwards.
func (co *Companies) Close() error {
	co.mu.Lock()
	defer co.mu.Unlock()
	var errs []error
	for _, o := range co.opened {
		errs = append(errs, o.provider.Close())
	}
	co.opened, co.closed = nil, true
	return errors.Join(errs...)
}
