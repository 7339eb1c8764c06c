// Command caddy is Caddy with its standard modules and caddymfa.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddymfa/gateway/caddymfa"
)

func main() {
	caddycmd.Main()
}
