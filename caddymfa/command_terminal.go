package caddymfa

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// printable keeps what people typed about themselves from steering the
// operator's terminal, or from looking like something else in it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return printable(text)
}

// table prints rows, the first of which is the head, in columns.
func table(w io.Writer, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(tw, "\t")
			}
			fmt.Fprint(tw, orDash(cell))
		}
		fmt.Fprintln(tw)
	}
	return tw.Flush()
}

// pairs prints names and values, aligned. A pair of nothing is an empty line.
func pairs(w io.Writer, list [][2]string) error {
	width := 0
	for _, p := range list {
		width = max(width, len(p[0]))
	}
	for _, p := range list {
		line := ""
		if p[0] != "" {
			line = fmt.Sprintf("%-*s  %s", width, p[0], printable(p[1]))
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// state says what is unusual about a row.
func state(disabled, declared, password bool) string {
	var words []string
	if disabled {
		words = append(words, "disabled")
	}
	if declared {
		words = append(words, "declared")
	}
	if !password {
		words = append(words, "no password")
	}
	return strings.Join(words, ", ")
}

// maxLine is the longest line that is read from standard input.
const maxLine = 4096

// readLine reads one line, and nothing of what comes after it.
func readLine(in io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, maxLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading standard input: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errors.New("standard input is empty: expected one line")
	}
	return line, nil
}

// terminal returns the terminal that a command's input is, if it is one.
func terminal(cmd *cobra.Command) (fd int, ok bool) {
	file, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0, false
	}
	return int(file.Fd()), true
}

// confirm asks a question whose answer is no unless it is yes.
func confirm(cmd *cobra.Command, question string) (bool, error) {
	if _, ok := terminal(cmd); !ok {
		return false, errors.New("there is no terminal to ask for confirmation on: give --yes")
	}
	fmt.Fprint(cmd.ErrOrStderr(), question+" [y/N] ")
	answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}

// restoring sees to it that whoever interrupts is not left with a terminal that
// stays silent, until done is called.
func restoring(fd int) (done func(), err error) {
	former, err := term.GetState(fd)
	if err != nil {
		return nil, fmt.Errorf("reading the terminal's state: %w", err)
	}
	interrupted, over := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(interrupted, os.Interrupt)
	go func() {
		select {
		case <-interrupted:
			term.Restore(fd, former) // it is all that can be tried
			os.Exit(caddy.ExitCodeFailedStartup)
		case <-over:
		}
	}()
	return func() {
		signal.Stop(interrupted)
		close(over)
	}, nil
}

// askOnce asks for a password that there is, without echo.
func askOnce(cmd *cobra.Command) (string, error) {
	fd, ok := terminal(cmd)
	if !ok {
		return "", errors.New("there is no terminal to ask for the password on: give --stdin")
	}
	done, err := restoring(fd)
	if err != nil {
		return "", err
	}
	defer done()
	return askSecret(cmd, fd, "Password: ")
}

// askPassword asks for a new password, twice, without echo.
func askPassword(cmd *cobra.Command) (string, error) {
	fd, ok := terminal(cmd)
	if !ok {
		return "", errors.New("there is no terminal to ask for the password on: give --stdin or --hash-stdin")
	}
	done, err := restoring(fd)
	if err != nil {
		return "", err
	}
	defer done()
	first, err := askSecret(cmd, fd, "New password: ")
	if err != nil {
		return "", err
	}
	second, err := askSecret(cmd, fd, "The same again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ: nothing was changed")
	}
	return first, nil
}

func askSecret(cmd *cobra.Command, fd int, prompt string) (string, error) {
	fmt.Fprint(cmd.ErrOrStderr(), prompt)
	typed, err := term.ReadPassword(fd)
	fmt.Fprintln(cmd.ErrOrStderr())
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return string(typed), nil
}
