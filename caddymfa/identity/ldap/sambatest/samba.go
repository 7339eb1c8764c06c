// Package sambatest runs a real Active Directory domain controller for tests:
// Samba's. Its domain is corp.example, in NetBIOS words CORP.
//
// The ports of a controller are fixed, so each has a loopback address of its
// own, and several run side by side.
package sambatest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// Base is the domain's own name.
	Base = "DC=corp,DC=example"

	administrator = `CORP\Administrator`
	password      = "Adm1n-of-the-tests!"
)

// smbConf runs nothing but the directory itself, in the controller's own folder:
// the machine's Samba, if it has one, is not touched.
const smbConf = `[global]
	netbios name = DC1
	realm = CORP.EXAMPLE
	workgroup = CORP
	server role = active directory domain controller
	server services = ldap
	interfaces = %[2]s/8
	bind interfaces only = yes
	private dir = %[1]s/private
	state directory = %[1]s/state
	cache directory = %[1]s/cache
	lock directory = %[1]s/lock
	pid directory = %[1]s/run
	ncalrpc dir = %[1]s/ncalrpc
	winbindd socket directory = %[1]s/winbindd
	ntp signd socket directory = %[1]s/ntp
	log file = %[1]s/log
	tls enabled = yes
	tls keyfile = %[1]s/tls-key.pem
	tls certfile = %[1]s/tls.pem
	tls cafile =
`

// Controller is a running domain controller.
type Controller struct {
	// Address is where it listens: on 636 with TLS, on 389 for StartTLS.
	Address string
	// CA is the certificate that its own comes from, in PEM.
	CA string

	folder string
	output bytes.Buffer
	stdin  io.Closer
	done   chan struct{}
}

// Start runs a controller of a new domain on a loopback address. It fails the
// test where that is not possible, and says why.
func Start(t testing.TB, address string) *Controller {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("Samba's domain controller runs as root only: run the tests as root, for example in a container")
	}
	return run(t, provisioned(t), address)
}

// Again runs a second controller with what the first one knows.
func (c *Controller) Again(t testing.TB, address string) *Controller {
	t.Helper()
	return run(t, c.folder, address)
}

func run(t testing.TB, from, address string) *Controller {
	t.Helper()
	folder, err := os.MkdirTemp("", "dc") // short: sockets are below it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	for _, part := range []string{"private", "state"} {
		if err := copyFiles(filepath.Join(folder, part), filepath.Join(from, part)); err != nil {
			t.Fatal(err)
		}
	}
	for _, part := range []string{"cache", "lock", "run"} {
		if err := os.Mkdir(filepath.Join(folder, part), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c := &Controller{Address: address, folder: folder, done: make(chan struct{})}
	authority, key := Certificate(t, address)
	for name, content := range map[string]string{"tls.pem": authority, "tls-key.pem": key} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.CA = authority
	if err := os.WriteFile(c.configuration(), fmt.Appendf(nil, smbConf, folder, address), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(find(t, "samba"), "--interactive", "--model=single", "--configfile="+c.configuration(), "--debug-stdout", "--debuglevel=1")
	cmd.Stdout, cmd.Stderr = &c.output, &c.output
	// It ends when its input does, and so with the test, however that ends.
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		cmd.Wait()
	}()
	t.Cleanup(func() { c.Stop(); cmd.Process.Kill() })
	c.wait(t)
	return c
}

// configuration is the controller's smb.conf.
func (c *Controller) configuration() string { return filepath.Join(c.folder, "smb.conf") }

// Stop ends the controller.
func (c *Controller) Stop() {
	c.stdin.Close()
	<-c.done
}

// wait returns once the controller answers.
func (c *Controller) wait(t testing.TB) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(c.CA))
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(90 * time.Second); ; {
		conn, err := tls.Dial("tcp", net.JoinHostPort(c.Address, "636"), &tls.Config{RootCAs: roots})
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-c.done:
			t.Fatalf("Samba's domain controller ended:\n%s", c.output.Bytes())
		case <-deadline:
			c.Stop()
			t.Fatalf("Samba's domain controller does not answer: %v\n%s", err, c.output.Bytes())
		}
	}
}

// Certificate makes a certificate for an address, which is its own authority,
// and its private key, in PEM.
func Certificate(t testing.TB, address string) (authority, private string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "dc1.corp.example"},
		DNSNames: []string{"dc1.corp.example"}, IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

// find returns where a program of Samba is.
func find(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%v: the tests of Active Directory need Samba's domain controller. "+
			"On Debian or Ubuntu, \".ci/deps\" installs it as root", err)
	}
	return path
}

// provisioned returns the folder of a new domain, which takes half a minute to
// make and is kept for the next time.
func provisioned(t testing.TB) string {
	t.Helper()
	version, err := exec.Command(find(t, "samba"), "--version").Output()
	if err != nil {
		t.Fatalf("asking Samba for its version: %v", err)
	}
	cache := filepath.Join(root(t), ".cache")
	folder := filepath.Join(cache, "samba-"+strings.Fields(string(version) + " x x")[1])
	if _, err := os.Stat(folder); err == nil {
		return folder
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	made, err := os.MkdirTemp(cache, "provision")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(made)
	out, err := exec.CommandContext(t.Context(), find(t, "samba-tool"), "domain", "provision",
		"--realm=CORP.EXAMPLE", "--domain=CORP", "--host-name=dc1", "--server-role=dc", "--dns-backend=NONE",
		"--adminpass="+password, "--targetdir="+made).CombinedOutput()
	if err != nil {
		t.Fatalf("making an Active Directory domain with samba-tool: %v "+
			"(on Debian or Ubuntu, \".ci/deps\" installs what it needs as root)\n%s", err, out)
	}
	// Whoever was faster made the same.
	if err := os.Rename(made, folder); err != nil {
		if _, missing := os.Stat(folder); missing != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// root returns the folder of this module.
func root(t testing.TB) string {
	t.Helper()
	folder, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
		if folder == filepath.Dir(folder) {
			break
		}
		folder = filepath.Dir(folder)
	}
	t.Fatalf("finding go.mod: %v", err)
	return ""
}

// copyFiles copies a folder's files, and leaves out sockets.
func copyFiles(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o700)
		case !entry.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
}
