package ldap

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// options reads the options of a block, each given once. The first mistake
// stays.
type options struct {
	d    *caddyfile.Dispenser
	seen map[string]bool
	err  error
}

// args returns the present option's arguments, which must be that many; -1: at
// least one.
func (o *options) args(want int) []string {
	option := o.d.Val()
	args := o.d.RemainingArgs()
	switch {
	case o.seen[option]:
		o.err = o.d.Errf("%s is given twice", option)
	case want < 0 && len(args) == 0:
		o.err = o.d.Errf("%s needs arguments", option)
	case want >= 0 && len(args) != want: // not ArgErr, which repeats a word that may be a secret
		o.err = o.d.Errf("%s: expected %d arguments, got %d", option, want, len(args))
	}
	o.seen[option] = true
	return args
}

func (o *options) text(to ...*string) {
	args := o.args(len(to))
	for i := range to {
		if o.err == nil {
			*to[i] = args[i]
		}
	}
}

// secret takes a name and a placeholder for what nobody may read.
func (o *options) secret(name, to *string) {
	option := o.d.Val()
	if o.text(name, to); o.err == nil && (len(*to) < 3 || (*to)[0] != '{' || (*to)[len(*to)-1] != '}') {
		o.err = o.d.Errf("%s: a secret must not stand in the configuration, which Caddy saves and shows: "+
			"give a placeholder such as {env.AD_PASSWORD} or {file./run/secrets/ad} ({$...} is none)", option)
	}
}

func (o *options) list(to *[]string) { *to = o.args(-1) }

func (o *options) flag(to *bool) {
	o.args(0)
	*to = true
}

func (o *options) duration(to *caddy.Duration) {
	var text string
	if o.text(&text); o.err != nil {
		return
	}
	value, err := caddy.ParseDuration(text)
	if err != nil || value <= 0 {
		o.err = o.d.Errf("expected a duration such as 3s, got '%s'", text)
	}
	*to = caddy.Duration(value)
}

func (o *options) number(to *int) {
	var text string
	if o.text(&text); o.err != nil {
		return
	}
	value, err := strconv.Atoi(text)
	if err != nil || value <= 0 {
		o.err = o.d.Errf("expected a number from 1, got '%s'", text)
	}
	*to = value
}
