// Package mfa holds the words of multi-factor authentication for many accounts
// and the one rule that decides about a request.
//
// It imports nothing but the standard library, does no I/O and knows neither
// HTTP nor storage. The gate calls [Decide] for every request, the sign-in flow
// after every step, and the command line to explain itself. No other place
// tests a policy.
package mfa
