package sqlite_test

import (
	"testing"

	"github.com/caddymfa/gateway/caddymfa/storage"
	"github.com/caddymfa/gateway/caddymfa/storage/sqlite/sqlitetest"
	"github.com/caddymfa/gateway/caddymfa/storage/storagetest"
)

func TestContract(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Storage { return sqlitetest.New(t) })
}
