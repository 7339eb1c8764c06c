package visitor

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// Document is a page as a browser understands it.
type Document struct{ *html.Node }

// Read reads a page.
func Read(text string) (Document, error) {
	root, err := html.Parse(strings.NewReader(text))
	return Document{root}, err
}

// All returns the elements for which holds is true.
func (d Document) All(holds func(n *html.Node) bool) []*html.Node {
	var found []*html.Node
	for n := range d.Descendants() {
		if n.Type == html.ElementNode && holds(n) {
			found = append(found, n)
		}
	}
	return found
}

// ByID returns the text of the element with this id.
func (d Document) ByID(id string) string {
	found := d.All(func(n *html.Node) bool { return Attr(n, "id") == id })
	if len(found) != 1 {
		return ""
	}
	return Text(found[0])
}

// ByClass returns the texts of the elements with this class.
func (d Document) ByClass(class string) []string {
	var texts []string
	for _, n := range d.All(func(n *html.Node) bool { return slices.Contains(strings.Fields(Attr(n, "class")), class) }) {
		texts = append(texts, Text(n))
	}
	return texts
}

// Form returns the fields that the form for this action brings along: of what
// can be chosen, only what is.
func (d Document) Form(action string) (url.Values, bool) {
	found := d.All(func(n *html.Node) bool { return n.Data == "form" && Attr(n, "action") == action })
	if len(found) == 0 {
		return nil, false
	}
	fields := url.Values{}
	for n := range found[0].Descendants() {
		choice := Attr(n, "type") == "radio" || Attr(n, "type") == "checkbox"
		if n.Type == html.ElementNode && n.Data == "input" && Attr(n, "name") != "" && (!choice || Has(n, "checked")) {
			fields.Set(Attr(n, "name"), Attr(n, "value"))
		}
	}
	return fields, true
}

// Text is what people read of an element.
func Text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "style" && d.Parent.Data != "script" {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// Attr returns an attribute of an element.
func Attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// Has reports whether an element has an attribute.
func Has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}
