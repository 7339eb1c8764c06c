package storagetest

import (
	"slices"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

var maintenanceChecks = []check{
	{"a migrated schema is the newest", func(t *testing.T, s storage.Storage) {
		got := value(s.Schema(t.Context()))(t)
		if got.Version == 0 || got.Version != got.Latest || len(got.Pending) != 0 {
			t.Errorf("expected the newest schema, got %+v", got)
		}
	}},
	{"rows are counted, table by table", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "zeta")
		user(t, s, "u1")
		got := value(s.Tables(t.Context()))(t)
		for _, want := range []storage.Table{{Name: "accounts", Rows: 2}, {Name: "users", Rows: 1}, {Name: "sessions", Rows: 0}} {
			if !slices.Contains(got, want) {
				t.Errorf("expected %+v, got %+v", want, got)
			}
		}
		if slices.IndexFunc(got, func(t storage.Table) bool { return t.Name == "schema_migrations" }) >= 0 {
			t.Error("the schema's own table is counted, too")
		}
	}},
	{"it has a size", func(t *testing.T, s storage.Storage) {
		if got := value(s.Size(t.Context()))(t); got < 1000 {
			t.Errorf("expected the size in bytes, got %d", got)
		}
	}},
}
