package seal

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ParseKey reads a master key as an operator writes it: 32 bytes in base64.
func ParseKey(s string) ([]byte, error) {
	s = strings.TrimSpace(s)
	k, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(k) != KeySize {
		return nil, fmt.Errorf("expected a master key of %d bytes in base64 (make one with: openssl rand -base64 32)", KeySize)
	}
	return k, nil
}

// KeyFile reads the master key in the file, or makes one there (mode 0600) if
// there is no such file. It never replaces a file: what an unreadable key had
// sealed would be lost. Of several processes starting at once one makes the
// key and all read it.
func KeyFile(path string) (key []byte, created bool, err error) {
	key, err = readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, false, fmt.Errorf("making the master key's folder: %w", err)
	}
	key = make([]byte, KeySize)
	rand.Read(key)
	tmp, err := os.CreateTemp(filepath.Dir(path), ".master-key-*") // made with mode 0600
	if err != nil {
		return nil, false, fmt.Errorf("making the master key: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, false, fmt.Errorf("writing the master key: %w", err)
	}
	// A hard link appears whole or not at all, and fails if somebody was faster.
	err = os.Link(tmp.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		key, err = readKey(path)
		return key, false, err
	}
	if err != nil {
		return nil, false, fmt.Errorf("placing the master key: %w", err)
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		dir.Sync() // some file systems refuse; the key itself is on disk
		dir.Close()
	}
	return key, true, nil
}

func readKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the master key: %w", err)
	}
	key, err := ParseKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("reading the master key %s: %w", path, err)
	}
	return key, nil
}

// Next is the file beside a key file in which the key waits that is to replace
// it, until nothing is sealed under the former one any more.
func Next(path string) string { return path + ".next" }

// KeyFiles reads the master key in the file, as KeyFile does, and the one that is
// to replace it, if there is one.
func KeyFiles(path string) (keys [][]byte, created bool, err error) {
	key, created, err := KeyFile(path)
	if err != nil {
		return nil, false, err
	}
	next, err := readKey(Next(path))
	if errors.Is(err, fs.ErrNotExist) {
		return [][]byte{key}, created, nil
	}
	return [][]byte{key, next}, created, err
}

// Settle puts the next key in place of the former one, whose file is gone then,
// if it is the key of this name, which seals now. Where another one waits, or
// none, nothing is done: a replacement that ended before the store knew of its
// key must not cost the key that everything is sealed under.
func Settle(path, sealing string) error {
	next, err := readKey(Next(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if name, err := Name(next); err != nil || name != sealing {
		return err
	}
	if err := os.Rename(Next(path), path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("putting the master key in its place: %w", err)
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		dir.Sync() // some file systems refuse; either name leads to the key
		dir.Close()
	}
	return nil
}
