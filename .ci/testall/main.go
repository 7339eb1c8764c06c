// Command testall runs `go test` with the given arguments. It prints a line for
// every package and everything about what failed, and fails if a test was
// skipped: a skipped test has not passed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	// ImportPath names what was being built, in a build's output.
	ImportPath string
}

func main() {
	cmd := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testall:", err)
		os.Exit(1)
	}
	passed, skipped := report(os.Stdout, out)
	failed := cmd.Wait()
	fmt.Printf("%d tests passed, %d skipped\n", passed, len(skipped))
	for _, name := range skipped {
		fmt.Println("SKIPPED", name)
	}
	switch {
	case failed != nil:
		fmt.Println("FAIL:", failed)
		os.Exit(1)
	case len(skipped) > 0:
		fmt.Println("FAIL: a skipped test has not passed")
		os.Exit(1)
	case passed == 0:
		fmt.Println("FAIL: no test ran")
		os.Exit(1)
	}
}

// report copies what matters, and returns how many tests passed and which were
// skipped, subtests included.
func report(w io.Writer, r io.Reader) (passed int, skipped []string) {
	kept := make(map[string][]string) // what a test printed, until it has passed
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(w, lines.Text()) // not an event: printed by go itself
			continue
		}
		test := e.Package + "." + e.Test
		switch e.Action {
		case "build-output":
			io.WriteString(w, e.Output)
		case "output":
			if e.Test != "" {
				kept[test] = append(kept[test], e.Output)
			} else if e.Output != "PASS\n" && !strings.HasPrefix(e.Output, "testing: warning:") {
				io.WriteString(w, e.Output)
			}
		case "pass":
			if e.Test != "" {
				passed++
				delete(kept, test)
			}
		case "skip":
			if e.Test != "" { // without one: a package without tests
				skipped = append(skipped, test+"\n"+strings.Join(kept[test], ""))
				delete(kept, test)
			}
		case "fail":
			io.WriteString(w, strings.Join(kept[test], ""))
			delete(kept, test)
			if e.Test == "" { // tests that a panic or a time-out cut short
				for name, lines := range kept {
					if strings.HasPrefix(name, e.Package+".") {
						io.WriteString(w, strings.Join(lines, ""))
						delete(kept, name)
					}
				}
			}
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(w, "testall: reading the results:", err)
		return 0, skipped
	}
	return passed, skipped
}
