package caddymfa

import (
	"github.com/caddymfa/gateway/caddymfa/internal/operate"
	"github.com/caddymfa/gateway/caddymfa/internal/seal"
)

// masterFile is a key file. The next key waits beside it until everything is
// sealed under it.
type masterFile string

// Next makes the next key, or finds the one that waits.
func (f masterFile) Next() (key []byte, waiting bool, err error) {
	key, created, err := seal.KeyFile(seal.Next(string(f)))
	return key, !created, err
}

// Settle puts the next key in the place of the former one, if it is what seals.
func (f masterFile) Settle(sealing string) error { return seal.Settle(string(f), sealing) }

// configuredMasters are the keys of a configuration, of which the first is to
// seal. Whoever wrote it has to take the former ones out.
type configuredMasters [][]byte

func (c configuredMasters) Next() (key []byte, waiting bool, err error) { return c[0], false, nil }

func (configuredMasters) Settle(string) error { return nil }

// Interface guards
var (
	_ operate.Masters = masterFile("")
	_ operate.Masters = configuredMasters(nil)
)
