package mfa

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryMutantIsCaught breaks the three rules in every place, one at a time,
// and demands that the tables above notice each time: a condition forced either
// way or inverted, an operand dropped, a comparison moved by one, a verdict,
// reason, offer or provider exchanged. All mutants are compiled into one copy of
// this package, which judges them.
func TestEveryMutantIsCaught(t *testing.T) {
	source, err := os.ReadFile("decide.go")
	if err != nil {
		t.Fatal(err)
	}
	mutants := mutate(t, source)
	if len(mutants) < 150 {
		t.Fatalf("only %d mutants: the generator does not see the rules any more", len(mutants))
	}
	dir := t.TempDir()
	for _, name := range []string{"decide.go", "words.go", "space_test.go", "decide_test.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), text)
	}
	write(t, filepath.Join(dir, "go.mod"), []byte("module mutants\n\ngo 1.26\n"))
	write(t, filepath.Join(dir, "judge_test.go"), judge(t, mutants))
	run := exec.Command("go", "test", "-vet=off", "-run", "^TestJudge$", "-v", ".")
	run.Dir = dir
	run.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := run.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte(fmt.Sprintf("judged %d mutants", len(mutants)))) {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%d mutants, all caught", len(mutants))
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// rules of decide.go, each with the walk that must catch its mutants.
var mutated = map[string]string{
	"Decide": "Decide", "accepted": "Decide", "Mode": "Decide", "trust": "Decide", "lasts": "Decide", "remembered": "Decide", "strong": "Decide",
	"DecideChange": "DecideChange", "DecideProfile": "DecideProfile", "DecideAdmin": "DecideAdmin",
	"fresh": "Decide",
}

// mutant is the source of the rules that one change is felt in, renamed to be
// unique.
type mutant struct{ about, judged, code string }

// edit replaces source[from:to].
type edit struct {
	from, to int
	by       string
}

func mutate(t *testing.T, source []byte) []mutant {
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, "decide.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	at := func(p token.Pos) int { return files.Position(p).Offset }
	text := func(n ast.Node) string { return string(source[at(n.Pos()):at(n.End())]) }
	functions := map[string]*ast.FuncDecl{}
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && mutated[f.Name.Name] != "" {
			functions[f.Name.Name] = f
		}
	}
	if len(functions) != len(mutated) {
		t.Fatal("the rules have other names now")
	}
	var mutants []mutant
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		// A change is felt in the function and in those that call it. They call
		// the rest as it is.
		changed := []string{name}
		for i := 0; i < len(changed); i++ {
			for other, f := range functions {
				if calls(changed[i]).MatchString(text(f.Body)) && !slices.Contains(changed, other) {
					changed = append(changed, other)
				}
			}
		}
		slices.Sort(changed)
		for _, e := range edits(functions[name], at, text) {
			var code strings.Builder
			for _, other := range changed {
				from, to := at(functions[other].Pos()), at(functions[other].End())
				if other != name {
					code.Write(source[from:to])
				} else {
					code.Write(source[from:e.from])
					code.WriteString(e.by)
					code.Write(source[e.to:to])
				}
				code.WriteString("\n\n")
			}
			line := files.Position(parsed.FileStart + token.Pos(e.from)).Line
			mutants = append(mutants, mutant{
				about:  fmt.Sprintf("line %d, %s: %s becomes %s", line, name, source[e.from:e.to], e.by),
				judged: mutated[name],
				code:   calls(changed...).ReplaceAllString(code.String(), fmt.Sprintf("${1}_%d(", len(mutants))),
			})
		}
	}
	return mutants
}

// calls matches the rules of these names where they are declared or called.
func calls(names ...string) *regexp.Regexp {
	return regexp.MustCompile(`\b(` + strings.Join(names, "|") + `)\(`)
}

// moved is what a comparison becomes.
var moved = map[token.Token]string{token.EQL: "!=", token.NEQ: "==", token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">"}

func edits(f *ast.FuncDecl, at func(token.Pos) int, text func(ast.Node) string) []edit {
	var found []edit
	replace := func(n ast.Node, by string) { found = append(found, edit{at(n.Pos()), at(n.End()), by}) }
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			replace(n.Cond, "true")
			replace(n.Cond, "false")
			replace(n.Cond, "!("+text(n.Cond)+")")
		case *ast.UnaryExpr:
			if n.Op == token.NOT {
				replace(n, text(n.X))
			}
		case *ast.BinaryExpr:
			switch {
			case n.Op == token.LAND || n.Op == token.LOR:
				replace(n, text(n.X))
				replace(n, text(n.Y))
			case moved[n.Op] != "":
				replace(n, text(n.X)+" "+moved[n.Op]+" "+text(n.Y))
			}
		case *ast.KeyValueExpr:
			switch key := text(n.Key); key {
			case "Verdict":
				replace(n.Value, "("+text(n.Value)+"+1)%8")
			case "Reason":
				replace(n.Value, text(n.Value)+`+"!"`)
			case "Offer":
				replace(n.Value, "0")
			case "Provider":
				replace(n.Value, `""`)
			}
		case *ast.AssignStmt:
			if len(n.Rhs) == 1 && text(n.Lhs[0]) == "why" {
				replace(n.Rhs[0], text(n.Rhs[0])+`+"!"`)
			}
		}
		return true
	})
	return found
}

// judge writes the test that walks the space for every mutant, in an order that
// meets all dimensions early, until the oracle disagrees.
func judge(t *testing.T, mutants []mutant) []byte {
	var b bytes.Buffer
	b.WriteString("package mfa\n\nimport (\n\t\"slices\"\n\t\"testing\"\n\t\"time\"\n)\n\n")
	b.WriteString("func TestJudge(t *testing.T) {\n\toracles := map[string]func(situation) Decision{\"Decide\": want, \"DecideChange\": changes, \"DecideProfile\": profiles, \"DecideAdmin\": administers}\n")
	b.WriteString("\tfor _, m := range mutants {\n\t\tt.Run(m.about, func(t *testing.T) {\n\t\t\tt.Parallel()\n\t\t\twanted := oracles[m.judged]\n")
	b.WriteString("\t\t\tfor i, n := 0, 0; i < space; i, n = i+1, (n+1000003)%space {\n\t\t\t\ts := at(n)\n\t\t\t\tif m.decide(s.facts()) != wanted(s) {\n\t\t\t\t\treturn\n\t\t\t\t}\n\t\t\t}\n")
	b.WriteString("\t\t\tt.Error(\"survived: no situation tells it from the rule\")\n\t\t})\n\t}\n\tt.Logf(\"judged %d mutants\", len(mutants))\n}\n\n")
	b.WriteString("var mutants = []struct {\n\tabout, judged string\n\tdecide func(Facts) Decision\n}{\n")
	for i, m := range mutants {
		call := fmt.Sprintf("%s_%d", m.judged, i)
		if m.judged == "DecideAdmin" {
			call = fmt.Sprintf("func(f Facts) Decision { return %s(appointed(f)) }", call)
		}
		fmt.Fprintf(&b, "\t{%q, %q, %s},\n", m.about, m.judged, call)
	}
	b.WriteString("}\n\nvar _ = slices.Contains[[]string]\n\n")
	for _, m := range mutants {
		b.WriteString(m.code)
	}
	text, err := format.Source(b.Bytes())
	if err != nil {
		t.Fatalf("%v\n%s", err, b.Bytes())
	}
	return text
}
