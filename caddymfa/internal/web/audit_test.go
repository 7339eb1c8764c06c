package web

import (
	"encoding/csv"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// TestEveryAuditedActionHasWords reads the program for everything that it writes
// into the audit, so that no administrator is shown a code for it.
func TestEveryAuditedActionHasWords(t *testing.T) {
	actions := make(map[string]string) // to where it is written
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "storagetest") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			for _, value := range audited(node) {
				for _, action := range literals(file, value) {
					actions[action] = path
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for action, path := range actions {
		if _, ok := auditActions[action]; !ok {
			t.Errorf("%s writes %q into the audit: give it words in audit_words.go and text/en/audit.json", path, action)
		}
	}
	for action := range auditActions {
		if actions[action] == "" {
			t.Errorf("%q has words, and nobody writes it into the audit", action)
		}
	}
}

// audited returns what a node of the program gives an audit row for its action.
func audited(node ast.Node) []ast.Expr {
	switch n := node.(type) {
	case *ast.CompositeLit:
		if kind, ok := n.Type.(*ast.SelectorExpr); !ok || kind.Sel.Name != "Event" {
			return nil
		}
		for _, element := range n.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok && pair.Key.(*ast.Ident).Name == "Action" {
				return []ast.Expr{pair.Value}
			}
		}
	case *ast.CallExpr: // s.event(client, session, action, outcome, reason)
		if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "event" && len(n.Args) == 5 {
			return n.Args[2:3]
		}
	case *ast.AssignStmt:
		if f, ok := n.Lhs[0].(*ast.SelectorExpr); ok && f.Sel.Name == "Action" {
			return n.Rhs
		}
	}
	return nil
}

// literals returns the words that an expression may be: itself, or what is given
// to the variable that it is, anywhere in the file.
func literals(file *ast.File, value ast.Expr) (words []string) {
	switch v := value.(type) {
	case *ast.BasicLit:
		word, err := strconv.Unquote(v.Value)
		if err == nil && word != "" {
			words = append(words, word)
		}
	case *ast.Ident:
		ast.Inspect(file, func(node ast.Node) bool {
			assign, ok := node.(*ast.AssignStmt)
			if !ok {
				return true
			}
			for i, to := range assign.Lhs {
				name, ok := to.(*ast.Ident)
				if ok && name.Name == v.Name && i < len(assign.Rhs) {
					if literal, ok := assign.Rhs[i].(*ast.BasicLit); ok {
						words = append(words, literals(file, literal)...)
					}
				}
			}
			return true
		})
	}
	return words
}

// The reasons of the decision are words of this page, too.
func TestEveryReasonOfTheDecisionHasWords(t *testing.T) {
	for _, reason := range reasonsOfTheDecision(t) {
		if _, ok := auditReasons[string(reason)]; !ok {
			t.Errorf("the reason %q has no words in audit_words.go", reason)
		}
	}
}

// reasonsOfTheDecision reads them from the source of package mfa.
func reasonsOfTheDecision(t *testing.T) (reasons []mfa.Reason) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../mfa/decide.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Reason" {
			return true
		}
		for _, value := range spec.Values {
			for _, reason := range literals(file, value) {
				reasons = append(reasons, mfa.Reason(reason))
			}
		}
		return true
	})
	if len(reasons) < 20 {
		t.Fatalf("only %d reasons were found", len(reasons))
	}
	return reasons
}

// What people call themselves must not run when a spreadsheet opens the export.
func TestExportHoldsNoFormulas(t *testing.T) {
	for _, name := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "=cmd|' /C calc'!A0"} {
		party := admin.Party{Kind: admin.Person, Name: name, Email: name}
		var text strings.Builder
		write, end := csvOf(auditColumns, auditRecord).begin(&text)
		err := errors.Join(write(admin.Entry{Action: name, Reason: name, Actor: party, User: party, Network: name, Detail: name}), end())
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(strings.NewReader(text.String())).ReadAll()
		if err != nil || len(rows) != 2 || len(rows[1]) != len(auditColumns) {
			t.Fatalf("%q: %v, %q", name, err, rows)
		}
		for i, cell := range rows[1] {
			if cell != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(cell)[0]) {
				t.Errorf("%s begins like a formula: %q", auditColumns[i], cell)
			}
		}
	}
	if harmless("Ana") != "Ana" || harmless("") != "" {
		t.Error("a harmless cell was changed")
	}
}
