// Package postgrestest runs private PostgreSQL clusters for tests: on loopback,
// in folders of their own, as a person without rights, and never the one that
// may be running on the machine.
package postgrestest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/freeport"
)

// Owner is the database's superuser. Nobody needs a password.
const Owner = "mfa"

// Cluster is one PostgreSQL server.
type Cluster struct {
	Port    int
	folder  string
	bin     string
	account *syscall.Credential // nil: who runs the tests
	output  bytes.Buffer
	server  *exec.Cmd
	ended   chan struct{}
	made    atomic.Int64
}

// Start makes a cluster with these settings, such as "fsync=off", and runs it.
func Start(settings ...string) (*Cluster, error) {
	c, err := prepare()
	if err != nil {
		return nil, err
	}
	if err := c.run("initdb", "--pgdata", c.data(), "--username", Owner, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"); err != nil {
		return nil, c.failed(err)
	}
	return c, c.failed(c.begin(settings...))
}

// prepare finds PostgreSQL, and makes the folder.
func prepare() (*Cluster, error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	c := &Cluster{bin: bin}
	if c.folder, err = os.MkdirTemp("", "caddymfa-postgres"); err != nil {
		return nil, err
	}
	if c.Port, err = freeport.Take(); err != nil {
		return nil, c.failed(err)
	}
	if os.Getuid() != 0 {
		return c, nil
	}
	// PostgreSQL refuses to run as root.
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return nil, c.failed(err)
	}
	uid, errUID := strconv.ParseUint(nobody.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(nobody.Gid, 10, 32)
	if errUID != nil || errGID != nil {
		return nil, c.failed(fmt.Errorf("expected numbers for uid and gid, got %q and %q", nobody.Uid, nobody.Gid))
	}
	c.account = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return c, c.failed(os.Chown(c.folder, int(uid), int(gid)))
}

// failed removes the folder of a cluster that did not come to be.
func (c *Cluster) failed(err error) error {
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, c.output.Bytes())
		os.RemoveAll(c.folder)
	}
	return err
}

// find returns where PostgreSQL's programs are: the newest of Debian's, or what
// is on the PATH.
func find() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", fmt.Errorf("PostgreSQL is missing; on Debian or Ubuntu: apt-get install --no-install-recommends postgresql (initdb: %w)", err)
	}
	return filepath.Dir(path), nil
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // none: oldest
	return n
}

func (c *Cluster) data() string { return filepath.Join(c.folder, "data") }

func (c *Cluster) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, program), args...)
	cmd.Dir = c.folder
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+c.folder)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.account}
	return cmd
}

// patience bounds every program but the server itself.
const patience = 2 * time.Minute

func (c *Cluster) run(program string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := c.command(ctx, program, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

// begin runs the server and waits until it answers.
func (c *Cluster) begin(settings ...string) error {
	args := []string{"-D", c.data(), "-p", strconv.Itoa(c.Port), "-k", c.folder}
	for _, s := range append([]string{"listen_addresses=127.0.0.1", "max_connections=200"}, settings...) {
		args = append(args, "-c", s)
	}
	c.server = c.command(context.Background(), "postgres", args...)
	c.server.Stdout, c.server.Stderr = &c.output, &c.output
	c.server.SysProcAttr.Pdeathsig = syscall.SIGINT // it must not outlive a test that was killed
	if err := c.server.Start(); err != nil {
		return fmt.Errorf("starting postgres: %w", err)
	}
	ended := make(chan struct{})
	c.ended = ended
	go func() {
		c.server.Wait()
		close(ended)
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		select {
		case <-ended:
			return fmt.Errorf("postgres ended")
		default:
		}
		err := c.run("pg_isready", "--quiet", "--host", "127.0.0.1", "--port", strconv.Itoa(c.Port))
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waiting for postgres: %w", err)
		}
	}
}

// DSN leads to a database of this cluster.
func (c *Cluster) DSN(database string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", Owner, c.Port, database)
}

// Create makes an empty database and returns its name.
func (c *Cluster) Create() (string, error) {
	name := fmt.Sprintf("test%d", c.made.Add(1))
	return name, c.Exec("postgres", `CREATE DATABASE `+name)
}

// Exec runs statements in a database.
func (c *Cluster) Exec(database, statements string) error {
	_, err := c.Query(database, statements)
	return err
}

// Query runs statements in a database and returns what they print.
func (c *Cluster) Query(database, statements string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := c.command(ctx, "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1",
		"--host", "127.0.0.1", "--port", strconv.Itoa(c.Port), "--username", Owner, "--dbname", database, "--command", statements)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// Standby makes a cluster that follows this one, and waits for it at every
// commit.
func (c *Cluster) Standby() (*Cluster, error) {
	s, err := prepare()
	if err != nil {
		return nil, err
	}
	if err := s.run("pg_basebackup", "--pgdata", s.data(), "--host", "127.0.0.1", "--port", strconv.Itoa(c.Port), "--username", Owner,
		"--wal-method", "stream", "--checkpoint", "fast", "--write-recovery-conf", "--no-sync"); err != nil {
		return nil, s.failed(err)
	}
	conf, err := os.OpenFile(filepath.Join(s.data(), "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = fmt.Fprintf(conf, "primary_conninfo = 'host=127.0.0.1 port=%d user=%s application_name=standby'\n", c.Port, Owner)
		conf.Close()
	}
	if err != nil {
		return nil, s.failed(err)
	}
	if err := s.begin(); err != nil {
		return nil, s.failed(err)
	}
	if err := c.Exec("postgres", `ALTER SYSTEM SET synchronous_standby_names = 'standby'`); err != nil {
		return s, err
	}
	return s, c.Exec("postgres", `SELECT pg_reload_conf()`)
}

// Promote makes a standby a primary that waits for nobody.
func (c *Cluster) Promote() error {
	return c.Exec("postgres", `SELECT pg_promote()`)
}

// Kill ends the server as a power cut does.
func (c *Cluster) Kill() { c.end(syscall.SIGQUIT) }

// Restart runs a server that was ended again.
func (c *Cluster) Restart(settings ...string) error { return c.begin(settings...) }

func (c *Cluster) end(s syscall.Signal) {
	c.server.Process.Signal(s)
	<-c.ended
}

// Close ends the server and removes everything.
func (c *Cluster) Close() {
	c.end(syscall.SIGQUIT)
	os.RemoveAll(c.folder)
}
