package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// gate is the Caddy that is measured.
type gate struct {
	e           *engine
	site, admin string // host and port
	config      string
	cmd         *exec.Cmd
	log         bytes.Buffer // read only once it has ended
	started     time.Duration
}

// patience bounds whatever is waited for.
const patience = 15 * time.Minute

// newGate writes the configuration of a Caddy on this engine.
func newGate(e *engine) (*gate, error) {
	g := &gate{e: e, config: filepath.Join(e.folder, "Caddyfile")}
	var err error
	if g.site, err = freeAddress(); err != nil {
		return nil, err
	}
	if g.admin, err = freeAddress(); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(g.site)
	return g, os.WriteFile(g.config, fmt.Appendf(nil, `{
	admin %s
	default_bind 127.0.0.1
	mfa {
		storage %s
		master_key {env.LOAD_MASTER_KEY}
		account probes {
			policy optional
		}
	}
}
http://:%s {
	mfa
	respond "ok"
}
`, g.admin, e.storage, port), 0o600)
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// caddy is this program once more, as Caddy.
func (g *gate) caddy(ctx context.Context, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), append(g.e.env, asCaddy+"=1", "LOAD_MASTER_KEY=bm90IGEgc2VjcmV0LCBvbmx5IHVzZWQgYnkgdGVzdHM=",
		"HOME="+g.e.folder, "XDG_DATA_HOME="+g.e.folder, "XDG_CONFIG_HOME="+g.e.folder)...)
	return cmd
}

// start starts Caddy and waits until it serves.
func (g *gate) start(ctx context.Context) error {
	g.log.Reset()
	g.cmd = g.caddy(context.Background(), "run", "--config", g.config, "--adapter", "caddyfile")
	g.cmd.Stdout, g.cmd.Stderr = &g.log, &g.log
	begun := time.Now()
	if err := g.cmd.Start(); err != nil {
		return err
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if res, err := client.Get("http://" + g.site + "/.mfa/health"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				g.started = time.Since(begun)
				return nil
			}
		}
		if time.Since(begun) > patience || ctx.Err() != nil {
			g.stop()
			return errors.Join(ctx.Err(), fmt.Errorf("the Caddy that is measured does not serve:\n%s", g.log.String()))
		}
		<-tick.C
	}
}

// stop ends Caddy, if it runs.
func (g *gate) stop() {
	if g.cmd == nil {
		return
	}
	g.cmd.Process.Signal(syscall.SIGTERM)
	g.cmd.Wait()
	g.cmd = nil
}

// lastSaid are the last faults that Caddy told of, once it has ended.
func (g *gate) lastSaid() string {
	var faults []string
	for _, line := range strings.Split(g.log.String(), "\n") {
		if strings.Contains(line, `"level":"error"`) {
			faults = append(faults, line)
		}
	}
	return strings.Join(faults[max(0, len(faults)-5):], "\n")
}

// memory is what the process of Caddy takes now, in bytes.
func (g *gate) memory() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("the system does not say how much memory a process takes")
}

// status is what `caddy mfa storage status` says.
type status struct {
	Bytes int64            `json:"bytes"`
	Rows  map[string]int64 `json:"rows"`
}

func (g *gate) status(ctx context.Context) (status, error) {
	var s status
	out, err := g.caddy(ctx, "mfa", "storage", "status", "--json", "--config", g.config, "--adapter", "caddyfile").Output()
	if err != nil {
		return s, fmt.Errorf("asking for the status: %w", err)
	}
	return s, json.Unmarshal(out, &s)
}

// operate asks the admin endpoint for something, which must be done.
func (g *gate) operate(ctx context.Context, method, path, body string) error {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+g.admin+"/mfa/"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s answered %d: %s", method, path, res.StatusCode, text)
	}
	return err
}
