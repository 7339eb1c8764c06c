package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func newKey(t *testing.T) []byte {
	t.Helper()
	k := make([]byte, KeySize)
	rand.Read(k)
	return k
}

func newBox(t *testing.T, keys ...[]byte) *Box {
	t.Helper()
	b, err := New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSealedValueOpensOnlyInItsPlace(t *testing.T) {
	b := newBox(t, newKey(t))
	plain := []byte("JBSWY3DPEHPK3PXP")
	sealed := b.Seal(plain, "factors", "f1", "state")
	if bytes.Contains(sealed, plain) {
		t.Fatal("the sealed value contains the secret")
	}
	got, err := b.Open(sealed, "factors", "f1", "state")
	if err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("Open = %q, %v", got, err)
	}
	for _, place := range [][3]string{{"factors", "f2", "state"}, {"keys", "f1", "state"}, {"factors", "f1", "name"}, {"factorsf", "1", "state"}} {
		if _, err := b.Open(sealed, place[0], place[1], place[2]); !errors.Is(err, ErrOpen) {
			t.Errorf("opened in %v: %v", place, err)
		}
	}
	if bytes.Equal(sealed, b.Seal(plain, "factors", "f1", "state")) {
		t.Error("sealing twice gives the same value: the nonce repeats")
	}
}

func TestAlteredValueNeverOpens(t *testing.T) {
	b := newBox(t, newKey(t))
	sealed := b.Seal([]byte("secret"), "t", "r", "c")
	for i := range sealed {
		broken := bytes.Clone(sealed)
		broken[i] ^= 1
		if _, err := b.Open(broken, "t", "r", "c"); !errors.Is(err, ErrOpen) {
			t.Errorf("opened with byte %d altered: %v", i, err)
		}
		if _, err := b.Open(sealed[:i], "t", "r", "c"); !errors.Is(err, ErrOpen) {
			t.Errorf("opened when cut at %d: %v", i, err)
		}
	}
}

func TestFormerMasterKeyStillOpens(t *testing.T) {
	former, present := newKey(t), newKey(t)
	sealed := newBox(t, former).Seal([]byte("secret"), "t", "r", "c")
	both := newBox(t, present, former)
	if got, err := both.Open(sealed, "t", "r", "c"); err != nil || string(got) != "secret" {
		t.Fatalf("Open = %q, %v", got, err)
	}
	if _, err := newBox(t, former).Open(both.Seal([]byte("new"), "t", "r", "c"), "t", "r", "c"); !errors.Is(err, ErrOpen) {
		t.Fatalf("the former key sealed: %v", err)
	}
	if _, err := newBox(t, newKey(t)).Open(sealed, "t", "r", "c"); !errors.Is(err, ErrOpen) {
		t.Fatalf("a foreign key opened: %v", err)
	}
}

func TestMACKeepsPurposesAndBoundariesApart(t *testing.T) {
	b := newBox(t, newKey(t))
	if !bytes.Equal(b.MAC("p", "a", "b"), b.MAC("p", "a", "b")) {
		t.Fatal("the same input gives different answers")
	}
	same := b.MAC("p", "a", "b")
	for _, other := range [][]byte{b.MAC("q", "a", "b"), b.MAC("p", "ab"), b.MAC("p", "a", "b", ""), newBox(t, newKey(t)).MAC("p", "a", "b")} {
		if bytes.Equal(same, other) {
			t.Error("two different inputs give one answer")
		}
	}
}

func TestKeyFileIsMadeOnceAndNeverReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "master.key")
	var wg sync.WaitGroup
	keys := make([][]byte, 20)
	made := make([]bool, len(keys))
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], made[i], err = KeyFile(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	makers := 0
	for i := range keys {
		if !bytes.Equal(keys[i], keys[0]) {
			t.Fatal("two callers read different keys")
		}
		if made[i] {
			makers++
		}
	}
	if makers != 1 {
		t.Errorf("%d callers made the key, want 1", makers)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".master-key-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestUnreadableKeyFileIsAnErrorAndStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	if err := os.WriteFile(path, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := KeyFile(path); err == nil {
		t.Fatal("a broken key was accepted or replaced")
	}
	if text, _ := os.ReadFile(path); string(text) != "not a key" {
		t.Error("the file was replaced: what its key sealed is lost")
	}
}

// A replacement may end after its key is made and before the store knows of it:
// everything is sealed under the former key then, whose file must stay.
func TestWaitingKeyStaysUntilItSeals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	named := func(path string) (key []byte, n string) {
		t.Helper()
		key, _, err := KeyFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return key, name(t, key)
	}
	former, sealing := named(path)
	if err := Settle(path, sealing); err != nil {
		t.Errorf("where no key waits: %v", err)
	}
	next, waiting := named(Next(path))
	if err := Settle(path, sealing); err != nil {
		t.Fatal(err)
	}
	if keys, _, err := KeyFiles(path); err != nil || len(keys) != 2 || !bytes.Equal(keys[0], former) || !bytes.Equal(keys[1], next) {
		t.Fatalf("the key that seals has lost its place: %d keys, %v", len(keys), err)
	}
	if err := Settle(path, waiting); err != nil {
		t.Fatal(err)
	}
	if keys, _, err := KeyFiles(path); err != nil || len(keys) != 1 || !bytes.Equal(keys[0], next) {
		t.Errorf("the next key is not in its place: %d keys, %v", len(keys), err)
	}
}

func TestParseKeyWantsExactly32Bytes(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := ParseKey(base64.StdEncoding.EncodeToString(make([]byte, n))); err == nil {
			t.Errorf("accepted %d bytes", n)
		}
	}
	if _, err := ParseKey(" " + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n"); err != nil {
		t.Error(err)
	}
	if _, err := New(make([]byte, 16)); err == nil {
		t.Error("New accepted a short key")
	}
	if _, err := New(); err == nil {
		t.Error("New accepted no key")
	}
}
