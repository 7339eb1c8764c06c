// Command load measures what a full store costs: it fills an empty one with
// accounts, people and sessions, and does the same things before and after, in
// front of a real Caddy that it starts itself. What it prints are ratios as much
// as times: the times are this machine's, the ratios are the design's.
//
//	go run ./cmd/load                                  # small, SQLite and a private PostgreSQL
//	go run ./cmd/load -accounts 100000 -users 1000000  # full size: half an hour, 10 GB
//
// It talks to loopback only, and every step of it is bounded in count.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddymfa/gateway/caddymfa"
)

// asCaddy makes this program the Caddy that it measures, in a process of its own.
const asCaddy = "CADDYMFA_LOAD_AS_CADDY"

func main() {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// size is how much there is to be made and measured.
type size struct {
	accounts, users int // each person has an authenticator and a session
	expired         int // sessions for the housekeeping to remove
	probes          int // people who really sign in, for each measurement of that
	requests        int // of the guarded page, for each measurement
	changes         int // of a policy
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(progress)
	var s size
	flags.IntVar(&s.accounts, "accounts", 1_000, "how many accounts to make; the people are spread over them")
	flags.IntVar(&s.users, "users", 10_000, "how many people to make, each with an authenticator and a session")
	flags.IntVar(&s.expired, "expired", 0, "how many expired sessions to make; default: as many as people, at most 200000")
	flags.IntVar(&s.probes, "probes", 40, "how many people really sign in, for each measurement of that")
	flags.IntVar(&s.requests, "requests", 20_000, "how many requests to send to the guarded page, for each measurement")
	flags.IntVar(&s.changes, "changes", 200, "how many times to change a policy")
	engines := flags.String("engines", "sqlite,postgres", "which engines to measure")
	dsn := flags.String("dsn", "", "an empty PostgreSQL database on loopback; default: a private server, removed afterwards")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if s.accounts < 1 || s.users < 1 || s.probes < 1 || s.requests < 1 || s.changes < 1 || s.expired < 0 || flags.NArg() > 0 {
		return fmt.Errorf("expected numbers above 0, and no other arguments")
	}
	if s.expired == 0 {
		s.expired = min(s.users, 200_000)
	}
	for _, name := range strings.Split(*engines, ",") {
		e, err := prepare(name, *dsn)
		if err != nil {
			return err
		}
		err = measure(ctx, e, s, out, progress)
		e.close()
		if err != nil {
			return fmt.Errorf("measuring %s: %w", name, err)
		}
	}
	return nil
}
