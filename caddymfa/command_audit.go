package caddymfa

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddymfa/gateway/caddymfa/internal/adminapi"
	"github.com/caddymfa/gateway/caddymfa/internal/audit"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Lists what happened, the newest first",
		Example: `  $ caddy mfa audit --user ana@citadel.example
  $ caddy mfa audit --account citadel --limit 200 --json
  $ caddy mfa audit verify`,
		Args: exactly(0),
	}
	user := cmd.Flags().String("user", "", "Only what is about this person")
	account := cmd.Flags().String("account", "", "Only what happened in this account")
	limit := cmd.Flags().Int("limit", 50, "How many events at most")
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	cmd.AddCommand(auditVerifyCommand())
	return online(cmd, func(cmd *cobra.Command, api endpoint, _ []string) error {
		query := url.Values{"limit": {strconv.Itoa(*limit)}}
		if *user != "" {
			query.Set("user", *user)
		}
		if *account != "" {
			query.Set("account", *account)
		}
		var list adminapi.EventList
		if err := api.do(http.MethodGet, "audit?"+query.Encode(), nil, &list); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd, list.Events)
		}
		rows := [][]string{{"AT", "ACTION", "OUTCOME", "REASON", "USER", "ACCOUNT", "BY", "NETWORK", "DETAIL"}}
		for _, e := range list.Events {
			rows = append(rows, []string{
				e.At.Format(time.RFC3339), e.Action, e.Outcome, e.Reason, either(e.UserEmail, e.User), e.Account,
				either(e.ActorEmail, e.Actor), e.Network, e.Detail,
			})
		}
		if err := table(cmd.OutOrStdout(), rows); err != nil {
			return err
		}
		if len(list.Events) == *limit {
			fmt.Fprintf(cmd.ErrOrStderr(), "There may be more: these are the newest %d. See --limit.\n", *limit)
		}
		return nil
	})
}

func auditVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify [--account <id>] [--against <file>] [--ends]",
		Short: "Says whether the audit is as it was written, or which line is the first that is not",
		Long: `
Goes through the chains of the audit: one for each account, and one of the rows of
no account. It names the first line of each that was altered, inserted, replaced or
is missing, and fails if there is any.

Lines cut off at the end may leave no trace in the database. So keep the ends of
the chains elsewhere, where nobody can alter them with it, and compare: the file
that --ends prints is what --against reads. The log mfa.audit has every line's end,
too ("chain").
`,
		Example: `  $ caddy mfa audit verify
  $ caddy mfa audit verify --ends > /elsewhere/audit-ends
  $ caddy mfa audit verify --against /elsewhere/audit-ends`,
		Args: exactly(0),
	}
	account := cmd.Flags().String("account", "", `Only this account's chain; "": that of no account (default: all)`)
	against := cmd.Flags().String("against", "", "File with the ends of chains, noted earlier")
	ends := cmd.Flags().Bool("ends", false, "Print the end of each chain")
	return online(cmd, func(cmd *cobra.Command, api endpoint, _ []string) error {
		var err error
		v := verifier{api: api}
		if *against != "" {
			if v.noted, err = readEnds(*against); err != nil {
				return err
			}
		}
		if *ends {
			v.end = func(account string, end audit.Noted) {
				fmt.Fprintln(cmd.OutOrStdout(), end, orDash(account))
			}
		}
		if cmd.Flags().Changed("account") {
			err = v.chain(*account)
		} else {
			err = v.all()
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), v.summary())
		if len(v.wrong) > 0 {
			return errors.New(strings.Join(v.wrong, "\n"))
		}
		return nil
	})
}

// readEnds reads what --ends printed.
func readEnds(path string) (map[string]audit.Noted, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the noted ends: %w", err)
	}
	defer file.Close()
	ends := make(map[string]audit.Noted)
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		end, account, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		noted, err := audit.ParseNoted(end)
		if err != nil {
			return nil, fmt.Errorf("reading the noted ends: %w", err)
		}
		if account == orDash("") {
			account = ""
		}
		ends[account] = noted
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the noted ends: %w", err)
	}
	return ends, nil
}

// verifier goes through chains, in parts.
type verifier struct {
	api   endpoint
	noted map[string]audit.Noted
	end   func(account string, end audit.Noted) // told of each chain that is whole; nil: nobody is

	chains, lines, older int64
	wrong                []string
}

// all goes through every chain, and through those that were noted, and sees
// whether one vanished.
func (v *verifier) all() error {
	first, err := v.list("")
	if err != nil {
		return err
	}
	for list := first; ; {
		for _, c := range list.Chains {
			if err := v.chain(c.Account); err != nil {
				return err
			}
		}
		if list.Next == "" {
			break
		}
		if list, err = v.list(list.Next); err != nil {
			return err
		}
	}
	for account := range v.noted { // those of chains that are there were taken out
		v.wrong = append(v.wrong, fmt.Sprintf("%s: the whole chain is missing", chainName(account)))
	}
	now, err := v.list("")
	if err != nil {
		return err
	}
	if len(v.wrong) == 0 && !audit.Complete(extent(first), extent(now), v.lines) {
		v.wrong = append(v.wrong, fmt.Sprintf("the audit must have %d lines, and has %d: the ends of chains, or whole chains, were cut off",
			now.Last-now.Unchained, v.lines))
	}
	return nil
}

func extent(list adminapi.ChainList) storage.Extent {
	return storage.Extent{Last: list.Last, Unchained: list.Unchained}
}

func (v *verifier) list(after string) (list adminapi.ChainList, err error) {
	return list, v.api.do(http.MethodGet, "audit/chains?"+url.Values{"after": {after}}.Encode(), nil, &list)
}

// chain goes through one chain.
func (v *verifier) chain(account string) error {
	v.chains++
	query := url.Values{"account": {account}}
	if noted, ok := v.noted[account]; ok {
		query.Set("noted", noted.String())
		delete(v.noted, account)
	}
	for {
		var part adminapi.VerifiedPart
		if err := v.api.do(http.MethodGet, "audit/verify?"+query.Encode(), nil, &part); err != nil {
			return err
		}
		v.lines += int64(part.Lines)
		v.older += int64(part.Older)
		if part.Finding != nil {
			v.wrong = append(v.wrong, chainName(account)+": "+finding(*part.Finding))
			return nil
		}
		if part.Next == 0 {
			if end, err := audit.ParseNoted(part.End); err == nil && v.end != nil { // a chain of no line has no end
				v.end(account, end)
			}
			return nil
		}
		query.Set("from", strconv.FormatInt(part.Next, 10))
	}
}

func chainName(account string) string {
	if account == "" {
		return "rows of no account"
	}
	return fmt.Sprintf("account %q", account)
}

// finding says in words what is wrong.
func finding(f adminapi.Finding) string {
	line := "line " + strconv.FormatInt(f.Line, 10)
	if f.Upto > f.Line {
		line = fmt.Sprintf("lines %d to %d", f.Line, f.Upto)
	}
	row := ""
	if f.ID != 0 {
		row = fmt.Sprintf(" (row %d)", f.ID)
	}
	switch audit.Fault(f.Fault) {
	case audit.Missing:
		return line + " missing"
	case audit.Inserted:
		return line + " has something inserted before it" + row
	case audit.Replaced:
		return line + " is not the one that there was" + row
	case audit.End:
		return "the record of the end does not fit the last line, which is " + line
	case audit.NoKey:
		return line + row + " was hashed under a master key that is not here: put it under former_master_keys"
	}
	return line + " was altered" + row
}

func (v *verifier) summary() string {
	text := fmt.Sprintf("Verified %d lines of %d chains.", v.lines, v.chains)
	if v.older > 0 {
		text += fmt.Sprintf(" %d rows are older than the chains, and nothing vouches for them.", v.older)
	}
	return text
}
