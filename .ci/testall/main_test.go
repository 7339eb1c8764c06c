package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	const stream = `{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"want 1, got 2\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"output","Package":"p","Test":"TestMany/absent","Output":"no browser\n"}
{"Action":"skip","Package":"p","Test":"TestMany/absent"}
{"Action":"output","Package":"p","Test":"TestCut","Output":"panic: cut short\n"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
{"Action":"output","Package":"q","Output":"?   \tq\t[no test files]\n"}
{"Action":"skip","Package":"q"}
`
	var out strings.Builder
	passed, skipped := report(&out, strings.NewReader(stream))
	if passed != 1 {
		t.Errorf("expected 1 passed test, got %d", passed)
	}
	if len(skipped) != 1 || skipped[0] != "p.TestMany/absent\nno browser\n" {
		t.Errorf("expected the skipped subtest and nothing else, got %q", skipped)
	}
	const want = "want 1, got 2\nok  \tp\t0.1s\npanic: cut short\n?   \tq\t[no test files]\n"
	if out.String() != want {
		t.Errorf("expected\n%s\ngot\n%s", want, out.String())
	}
}
