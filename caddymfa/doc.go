// Package caddymfa is a Caddy module.
package caddymfa
