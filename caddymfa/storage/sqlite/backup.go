package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Backup writes a copy of the database in the file from to the new file to, as it
// is at one moment, while others read and write it. The copy is readable by its
// owner only. It is there as a whole, checked and on disk, or not at all.
func Backup(ctx context.Context, from, to string) error {
	if err := backup(ctx, from, to); err != nil {
		return fmt.Errorf("backing up %s: %w", from, err)
	}
	return nil
}

func backup(ctx context.Context, from, to string) error {
	if _, err := os.Stat(from); err != nil {
		return err // SQLite would make an empty one
	}
	switch _, err := os.Lstat(to); {
	case err == nil:
		return fmt.Errorf("%s: %w", to, fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	from, err := filepath.Abs(from)
	if err != nil {
		return err
	}
	// Made with mode 0600. SQLite writes into an empty file as it is.
	tmp, err := os.CreateTemp(filepath.Dir(to), ".mfa-backup-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if err := run(ctx, from, `VACUUM INTO ?`, tmp.Name()); err != nil {
		return err
	}
	if err := check(ctx, tmp.Name()); err != nil {
		return fmt.Errorf("checking the copy: %w", err)
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	// A hard link appears whole or not at all, and replaces no file.
	if err := os.Link(tmp.Name(), to); err != nil {
		return err
	}
	if dir, err := os.Open(filepath.Dir(to)); err == nil {
		dir.Sync() // some file systems refuse; the copy itself is on disk
		dir.Close()
	}
	return nil
}

func run(ctx context.Context, path, statement string, args ...any) error {
	db, err := sql.Open("sqlite", dsn(path, "deferred", []string{"busy_timeout(10000)"}))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, statement, args...)
	return err
}

// check has SQLite look for damage.
func check(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn(path, "deferred", reading))
	if err != nil {
		return err
	}
	defer db.Close()
	var said string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&said); err != nil {
		return err
	}
	if said != "ok" {
		return errors.New(said)
	}
	return nil
}
