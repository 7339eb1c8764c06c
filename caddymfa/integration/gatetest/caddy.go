// Package gatetest is what all tests of the built program share: the program
// and its processes.
package gatetest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/integration/visitor"
	"github.com/caddymfa/gateway/caddymfa/internal/freeport"
)

// Binary returns Caddy with this module, built as the tests are: with the race
// detector, which fails the test that provoked what it finds, or without. The
// packages of tests share one file, which is made anew only when the code has
// changed.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var binary = sync.OnceValues(func() (string, error) {
	module, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(module)))
	path := filepath.Join(root, ".cache", "tested", "caddy")
	if race {
		path += "-race"
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	lock, err := os.Create(path + ".lock")
	if err != nil {
		return "", err
	}
	defer lock.Close() // which unlocks it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("waiting for another build: %w", err)
	}
	build := exec.Command("go", append(Build(), "-o", path, "./cmd/caddy")...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building caddy: %w\n%s", err, out)
	}
	return path, nil
})

// Build are the arguments that make the go command build as the tests were built.
func Build() []string {
	if race {
		return []string{"build", "-race"}
	}
	return []string{"build"}
}

// Port returns a port for a server that is to be started.
func Port(t testing.TB) int {
	t.Helper()
	port, err := freeport.Take()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Command is caddy with these arguments. What it keeps is in the folder.
func Command(t testing.TB, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(Binary(t), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+filepath.Join(dir, "data"), "XDG_CONFIG_HOME="+filepath.Join(dir, "config"))
	return cmd
}

// Output collects what a process prints while others read it.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Process is a command that runs.
type Process struct {
	Ended chan struct{} // closed when it has

	t   testing.TB
	cmd *exec.Cmd
}

// Start runs a command, which prints into the output.
func Start(t testing.TB, cmd *exec.Cmd, to *Output) *Process {
	t.Helper()
	cmd.Stdout, cmd.Stderr = to, to
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{Ended: make(chan struct{}), t: t, cmd: cmd}
	go func() {
		cmd.Wait()
		close(p.Ended)
	}()
	return p
}

// End sends a signal that ends the process, and waits for that: SIGTERM is what
// an operator does, SIGKILL a power cut.
func (p *Process) End(s syscall.Signal) {
	p.t.Helper()
	p.cmd.Process.Signal(s)
	select {
	case <-p.Ended:
	case <-time.After(30 * time.Second):
		p.cmd.Process.Kill()
		p.t.Errorf("Caddy did not end after %v", s)
	}
}

// Clean fails the test if the log tells of a race or a panic, or holds what must
// never stand there.
func Clean(t testing.TB, log string, secrets ...string) {
	t.Helper()
	if strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic") {
		t.Errorf("Caddy raced or panicked:\n%s", log)
	}
	for _, secret := range append(secrets, visitor.Password) {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds the secret %q", secret)
		}
	}
}

// Until waits for a condition, which is about what writes this log.
func Until(t testing.TB, log *Output, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(40 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			lines := strings.Split(log.String(), "\n")
			t.Fatalf("gave up waiting until %s; the log ends:\n%s", what, strings.Join(lines[max(0, len(lines)-10):], "\n"))
		}
	}
}
