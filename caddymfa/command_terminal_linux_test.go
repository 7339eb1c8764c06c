package caddymfa

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal returns both ends of a new terminal: where a person types and
// reads, and what the command sees.
func openTerminal(t *testing.T) (person, command *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	command, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { command.Close() })
	return person, command
}

// echoes reports whether the terminal shows what is typed.
func echoes(t *testing.T, terminal *os.File) bool {
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Error(err)
		return false
	}
	return state.Lflag&unix.ECHO != 0
}

// typed answers the prompts of a command on a terminal, each one once the
// terminal has stopped to echo if secret says so, and returns all that the
// command printed and the terminal showed.
func (s *shell) typed(secret bool, answers []string, args ...string) (shown string, err error) {
	s.t.Helper()
	person, command := openTerminal(s.t)
	prompts, prompt := io.Pipe()
	go func() {
		var last string
		for r := bufio.NewReader(prompts); len(answers) > 0; {
			c, err := r.ReadByte()
			if err != nil {
				return
			}
			if last += string(c); !strings.HasSuffix(last, ": ") && !strings.HasSuffix(last, "[y/N] ") {
				continue
			}
			for secret && echoes(s.t, command) {
				runtime.Gosched()
			}
			io.WriteString(person, answers[0]+"\n")
			last, answers = "", answers[1:]
		}
		io.Copy(io.Discard, prompts)
	}()
	var errs bytes.Buffer
	out, err := s.runOn(command, io.MultiWriter(&errs, prompt), args...)
	prompt.Close()
	if !echoes(s.t, command) {
		s.t.Error("the terminal was left silent")
	}
	// Everything that the terminal echoed is there before this mark.
	io.WriteString(command, "\x04")
	echoed, readErr := bufio.NewReader(person).ReadString('\x04')
	if readErr != nil {
		s.t.Fatal(readErr)
	}
	return out + errs.String() + echoed, err
}

func TestCommandAsksForAPasswordWithoutEcho(t *testing.T) {
	s := newShell(t)
	const secret = "a fine long passphrase"
	shown, err := s.typed(true, []string{secret, secret}, "password", "ana@acme.example")
	if err != nil || !strings.Contains(shown, "has a new password") {
		t.Fatalf("%v: %s", err, shown)
	}
	u, err := operator(t).User(t.Context(), "ana@acme.example")
	if err != nil {
		t.Fatal(err)
	}
	if right, err := (hasher{}).Compare([]byte(u.PasswordHash), []byte(secret)); !right || err != nil {
		t.Errorf("the password is another: %v", err)
	}
	other, err := s.typed(true, []string{"four lucky clover leaves", "another long passwort"}, "password", "ana@acme.example")
	if err == nil || !strings.Contains(other, "the two passwords differ") {
		t.Errorf("%v: %s", err, other)
	}
	for _, typed := range []string{secret, "another long"} {
		if strings.Contains(shown+other, typed) {
			t.Errorf("the terminal showed %q", typed)
		}
	}
}

func TestCommandAsksBeforeAReset(t *testing.T) {
	s := newShell(t)
	for answer, goes := range map[string]bool{"y": true, "YES": true, "": false, "n": false, "yep": false} {
		shown, err := s.typed(false, []string{answer}, "reset", "ana@acme.example")
		if !strings.Contains(shown, "Remove all authenticators of ana@acme.example and sign them out everywhere? [y/N] ") {
			t.Errorf("%q: asked %s", answer, shown)
		}
		if goes != (err == nil) || goes != strings.Contains(shown, "has no authenticator any more") || goes == strings.Contains(shown, "nothing was changed") {
			t.Errorf("%q: %v: %s", answer, err, shown)
		}
	}
}
