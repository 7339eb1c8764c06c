//go:build race

package gatetest

// race is whether the tests run with the race detector.
const race = true
