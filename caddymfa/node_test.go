package caddymfa

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestSharedStorageNeedsAMasterKey: a key of its own on each node would open
// nothing that another one sealed.
func TestSharedStorageNeedsAMasterKey(t *testing.T) {
	t.Setenv("MFA_TEST_KEY", "bm90IGEgc2VjcmV0LCBvbmx5IHVzZWQgYnkgdGVzdHM=")
	validate := func(app string) error {
		return caddy.Validate(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}, AppsRaw: caddy.ModuleMap{"mfa": []byte(app)}})
	}
	err := validate(`{"storage": {"module": "postgres", "dsn": "postgres://127.0.0.1:1/mfa"}}`)
	if err == nil || !strings.Contains(err.Error(), "needs master_key") {
		t.Errorf("expected that a master key is asked for, got %v", err)
	}
	if err := validate(`{"storage": {"module": "postgres", "dsn": "postgres://127.0.0.1:1/mfa"}, "master_key": "{env.MFA_TEST_KEY}"}`); err != nil {
		t.Error(err)
	}
	err = validate(`{"storage": {"module": "postgres", "dsn": "postgres://127.0.0.1:1/mfa"}, "master_key": "{env.MFA_TEST_KEY}",
		"token_lifetime": "1m", "insecure_stale_for": "2m"}`)
	if err == nil || !strings.Contains(err.Error(), "at most token_lifetime (1m0s)") {
		t.Errorf("expected the bound of insecure_stale_for, got %v", err)
	}
}
