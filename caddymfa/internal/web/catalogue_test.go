package web

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"text/template/parse"
	"time"
)

// uses collects which keys are said, and with which values.
type uses map[string][][]string

func (u uses) add(key string, names []string) {
	slices.Sort(names)
	u[key] = append(u[key], names)
}

// inTemplate finds the calls of t with a literal key.
func (u uses) inTemplate(t *testing.T, node parse.Node) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, child := range n.Nodes {
			u.inTemplate(t, child)
		}
	case *parse.ActionNode:
		u.inTemplate(t, n.Pipe)
	case *parse.TemplateNode:
		u.inTemplate(t, n.Pipe)
	case *parse.IfNode:
		u.inBranch(t, &n.BranchNode)
	case *parse.WithNode:
		u.inBranch(t, &n.BranchNode)
	case *parse.RangeNode:
		u.inBranch(t, &n.BranchNode)
	case *parse.PipeNode:
		if n == nil {
			return
		}
		for _, command := range n.Cmds {
			u.inTemplate(t, command)
		}
	case *parse.CommandNode:
		for _, arg := range n.Args {
			u.inTemplate(t, arg)
		}
		if id, ok := n.Args[0].(*parse.IdentifierNode); !ok || id.Ident != "t" {
			return
		}
		key, ok := n.Args[2].(*parse.StringNode)
		if !ok {
			return // a Text made by Go
		}
		var names []string
		for i := 3; i < len(n.Args); i += 2 {
			name, ok := n.Args[i].(*parse.StringNode)
			if !ok {
				t.Errorf("%s: the name of a value must be a literal", n)
				return
			}
			names = append(names, name.Text)
		}
		u.add(key.Text, names)
	}
}

func (u uses) inBranch(t *testing.T, n *parse.BranchNode) {
	u.inTemplate(t, n.Pipe)
	u.inTemplate(t, n.List)
	u.inTemplate(t, n.ElseList)
}

// inGo finds the calls of say in this package.
func (u uses) inGo(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), entry.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			if id, ok := call.Fun.(*ast.Ident); !ok || id.Name != "say" {
				return true
			}
			var words []string // the key, then the names of the values
			for i := 0; i < len(call.Args); i += 1 + min(i, 1) {
				literal, ok := call.Args[i].(*ast.BasicLit)
				if !ok {
					t.Errorf("%s: say needs a literal key and literal names", entry.Name())
					return true
				}
				word, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				words = append(words, word)
			}
			u.add(words[0], words[1:])
			return true
		})
	}
}

// Every text is said somewhere, everything said has a text, and each gets
// exactly the values that its placeholders name.
func TestTextsAndTheirUses(t *testing.T) {
	texts, err := loadCatalogue(textFiles)
	if err != nil {
		t.Fatal(err)
	}
	used := make(uses)
	used.inGo(t)
	// The renderer's templates are left alone: once executed, they also hold
	// what the escaper put in.
	for _, page := range newRenderer(t).pages {
		for _, part := range page.Templates() {
			if part.Tree != nil {
				used.inTemplate(t, part.Tree.Root)
			}
		}
	}
	for key := range used {
		if texts.languages[defaultLanguage][key] == nil {
			t.Errorf("%q is said, but has no text", key)
		}
	}
	for tag, language := range texts.languages {
		for key, forms := range language {
			if used[key] == nil {
				t.Errorf("%q is never said", key)
			}
			named := make(map[string]bool)
			for _, form := range forms {
				if strings.TrimSpace(form) == "" || strings.TrimSpace(form) != form {
					t.Errorf("%s: %q is empty, or has spaces around it", tag, key)
				}
				for _, hole := range placeholder.FindAllString(form, -1) {
					named[strings.Trim(hole, "{}")] = true
				}
				if rest := placeholder.ReplaceAllString(form, ""); strings.ContainsAny(rest, "{}") {
					t.Errorf("%s: %q has a brace that is no placeholder", tag, key)
				}
			}
			if len(forms) > 1 {
				named["n"] = true // it chooses the form, also where none spells it out
			}
			for _, given := range used[key] {
				if want := slices.Sorted(maps.Keys(named)); !slices.Equal(given, want) {
					t.Errorf("%s: %q is given %v, its text names %v", tag, key, given, want)
				}
			}
		}
	}
}

// A sentence that is written into a template cannot be translated.
func TestTemplatesHoldNoWords(t *testing.T) {
	for _, page := range newRenderer(t).pages {
		for _, part := range page.Templates() {
			if part.Tree != nil {
				noWords(t, part.Tree)
			}
		}
	}
}

func noWords(t *testing.T, tree *parse.Tree) {
	// With everything dynamic taken out, no text may be left between tags.
	var markup strings.Builder
	var walk func(parse.Node)
	walk = func(node parse.Node) {
		switch n := node.(type) {
		case *parse.ListNode:
			if n != nil {
				for _, child := range n.Nodes {
					walk(child)
				}
			}
		case *parse.TextNode:
			markup.Write(n.Text)
		case *parse.IfNode:
			walk(n.List)
			walk(n.ElseList)
		case *parse.WithNode:
			walk(n.List)
			walk(n.ElseList)
		case *parse.RangeNode:
			walk(n.List)
			walk(n.ElseList)
		}
	}
	walk(tree.Root)
	text := markup.String()
	depth := 0
	for i, c := range text {
		switch {
		case c == '<':
			depth++
		case c == '>':
			depth--
		case depth == 0 && strings.Contains(text, "<") && (c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'):
			t.Errorf("template %s says %q by itself", tree.Name, strings.SplitN(text[i:], "<", 2)[0])
			return
		}
	}
}

func TestCatalogueText(t *testing.T) {
	texts := &catalogue{languages: map[string]map[string]wording{"en": {
		"plain": {"other": "Hello."},
		"named": {"other": "Hello, {name}."},
		"days":  {"one": "1 day", "other": "{n} days"},
	}}}
	for _, test := range []struct {
		what Text
		want string // empty: an error
	}{
		{say("plain"), "Hello."},
		{say("named", "name", "Ana"), "Hello, Ana."},
		{say("named", "name", "{n}"), "Hello, {n}."},
		{say("days", "n", 1), "1 day"},
		{say("days", "n", 0), "0 days"},
		{say("days", "n", 7), "7 days"},
		{Text{}, ""},
		{say("nothing"), ""},
		{say("named"), ""},
		{say("named", "name"), ""},
		{say("named", 1, 2), ""},
	} {
		got, err := texts.text("en", test.what)
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%v: got %q and %v, want %q", test.what, got, err, test.want)
		}
	}
}

func TestCatalogueLanguage(t *testing.T) {
	texts := &catalogue{languages: map[string]map[string]wording{"en": {}, "de": {}, "pt-br": {}}}
	for tag, want := range map[string]string{"": "en", "en": "en", "en-GB": "en", "de-AT": "de", "pt-BR": "pt-br", "fr": "en", "-": "en"} {
		if got := texts.language(tag); got != want {
			t.Errorf("%q: got %q, want %q", tag, got, want)
		}
	}
}

func TestCatalogueRefuses(t *testing.T) {
	for name, files := range map[string]fstest.MapFS{
		"no default language": {},
		"no JSON":             {"text/en.json": {Data: []byte(`{`)}},
		"a number":            {"text/en.json": {Data: []byte(`{"key": 1}`)}},
		"no form for others":  {"text/en.json": {Data: []byte(`{"key": {"one": "1"}}`)}},
		"no plural rule":      {"text/en.json": {Data: []byte(`{"key": "text"}`)}, "text/qq.json": {Data: []byte(`{"key": "text"}`)}},
	} {
		if _, err := loadCatalogue(files); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestCatalogueRefusesAnIncompleteLanguage(t *testing.T) {
	plurals["qq"] = plurals["en"]
	t.Cleanup(func() { delete(plurals, "qq") })
	files := fstest.MapFS{"text/en.json": {Data: []byte(`{"a": "A", "b": "B"}`)}, "text/qq.json": {Data: []byte(`{"a": "A"}`)}}
	if _, err := loadCatalogue(files); err == nil {
		t.Error("accepted a language that lacks a text")
	}
	files["text/qq.json"] = &fstest.MapFile{Data: []byte(`{"a": "A", "b": "B"}`)}
	if _, err := loadCatalogue(files); err != nil {
		t.Error(err)
	}
}

func TestWhen(t *testing.T) {
	got, err := newRenderer(t).texts.when("en", moment.In(time.FixedZone("", 2*3600)))
	if want := "2 March 2026, 14:03 UTC"; got != want || err != nil {
		t.Errorf("got %q and %v, want %q", got, err, want)
	}
}

func TestProblemWait(t *testing.T) {
	texts := newRenderer(t).texts
	for wait, want := range map[time.Duration]string{
		0:                       "Please wait 1 second, then try again.",
		1500 * time.Millisecond: "Please wait 2 seconds, then try again.",
		90 * time.Second:        "Please wait 90 seconds, then try again.",
		91 * time.Second:        "Please wait 2 minutes, then try again.",
	} {
		if got, err := texts.text("en", ProblemWait(wait)); got != want || err != nil {
			t.Errorf("%v: got %q and %v, want %q", wait, got, err, want)
		}
	}
}
