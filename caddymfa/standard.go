package caddymfa

// The standard guests.
import (
	_ "github.com/caddymfa/gateway/caddymfa/storage/sqlite"
)
