package web

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

//go:embed text
var textFiles embed.FS

// defaultLanguage is spoken when nothing better is known, and its file is the
// measure for all others: each must have exactly the same keys.
const defaultLanguage = "en"

// plurals says, for each language that has a file, which form a number takes.
// The names are those of Unicode's CLDR; "other" exists in every language.
var plurals = map[string]func(n int) string{
	"en": func(n int) string {
		if n == 1 {
			return "one"
		}
		return "other"
	},
}

// Text is something to say to a person: a key of the catalogue, and values for
// the placeholders of its text as name, value, name, value. The zero value says
// nothing.
type Text struct {
	Key  string
	Args []any
}

// say makes a Text. A test reads the source for calls of say, so the key and
// the names of the values must be literals.
func say(key string, args ...any) Text { return Text{Key: key, Args: args} }

// catalogue holds what the pages say, in each language that has a file.
type catalogue struct {
	languages map[string]map[string]wording
}

// wording is one text: a form for each plural category, or just "other".
type wording map[string]string

// UnmarshalJSON reads a text, or an object of plural forms.
func (w *wording) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*w = wording{"other": one}
		return nil
	}
	var forms map[string]string
	if err := json.Unmarshal(data, &forms); err != nil {
		return err
	}
	if _, ok := forms["other"]; !ok {
		return errors.New(`a text with plural forms needs the form "other"`)
	}
	*w = forms
	return nil
}

// loadCatalogue reads every text/<language>.json in files, and the further texts
// of that language in text/<language>/*.json. A language with a key too few or
// too many is refused, so that no page can fall short of words while somebody
// looks at it.
func loadCatalogue(files fs.FS) (*catalogue, error) {
	names, err := fs.Glob(files, "text/*.json")
	if err != nil {
		return nil, fmt.Errorf("listing texts: %w", err)
	}
	more, err := fs.Glob(files, "text/*/*.json")
	if err != nil {
		return nil, fmt.Errorf("listing texts: %w", err)
	}
	c := &catalogue{languages: make(map[string]map[string]wording)}
	for _, name := range append(names, more...) {
		tag, _, _ := strings.Cut(strings.TrimPrefix(name, "text/"), "/")
		tag = strings.TrimSuffix(tag, ".json")
		if plurals[tag] == nil {
			return nil, fmt.Errorf("reading texts: %s has no plural rule", name)
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("reading texts: %w", err)
		}
		var texts map[string]wording
		if err := json.Unmarshal(data, &texts); err != nil {
			return nil, fmt.Errorf("reading texts of %s: %w", name, err)
		}
		if c.languages[tag] == nil {
			c.languages[tag] = make(map[string]wording)
		}
		for key, text := range texts {
			if _, twice := c.languages[tag][key]; twice {
				return nil, fmt.Errorf("reading texts of %s: %q is said twice", name, key)
			}
			c.languages[tag][key] = text
		}
	}
	measure := slices.Sorted(maps.Keys(c.languages[defaultLanguage]))
	if len(measure) == 0 {
		return nil, fmt.Errorf("reading texts: no texts in %q", defaultLanguage)
	}
	for tag, texts := range c.languages {
		if keys := slices.Sorted(maps.Keys(texts)); !slices.Equal(keys, measure) {
			return nil, fmt.Errorf("reading texts: %q has not the same keys as %q", tag, defaultLanguage)
		}
	}
	return c, nil
}

// language returns the best language there is for a tag: itself, the same
// language elsewhere ("de" for "de-AT"), or the default.
func (c *catalogue) language(tag string) string {
	tag = strings.ToLower(tag)
	if _, ok := c.languages[tag]; ok {
		return tag
	}
	if primary, _, _ := strings.Cut(tag, "-"); c.languages[primary] != nil {
		return primary
	}
	return defaultLanguage
}

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// text says a Text in a language. A key or a value that is missing is an error:
// a page never shows a key, and never a sentence with a hole.
func (c *catalogue) text(tag string, what Text) (string, error) {
	tag = c.language(tag)
	forms, ok := c.languages[tag][what.Key]
	if !ok {
		return "", fmt.Errorf("no text %q", what.Key)
	}
	if len(what.Args)%2 != 0 {
		return "", fmt.Errorf("text %q: values must come in pairs of name and value", what.Key)
	}
	values := make(map[string]any, len(what.Args)/2)
	for pair := range slices.Chunk(what.Args, 2) {
		name, ok := pair[0].(string)
		if !ok {
			return "", fmt.Errorf("text %q: %v is not the name of a value", what.Key, pair[0])
		}
		values["{"+name+"}"] = pair[1]
	}
	form := forms["other"]
	if n, ok := values["{n}"].(int); ok {
		if f, ok := forms[plurals[tag](n)]; ok {
			form = f
		}
	}
	var missing string
	said := placeholder.ReplaceAllStringFunc(form, func(hole string) string {
		value, ok := values[hole]
		if !ok {
			missing = hole
		}
		return fmt.Sprint(value)
	})
	if missing != "" {
		return "", fmt.Errorf("text %q: no value for %s", what.Key, missing)
	}
	return said, nil
}

// when says a moment to the minute, in UTC, since the server cannot know the
// reader's time zone.
func (c *catalogue) when(tag string, t time.Time) (string, error) {
	t = t.UTC()
	month, err := c.text(tag, months[t.Month()-1])
	if err != nil {
		return "", err
	}
	return c.text(tag, say("time.moment", "day", t.Day(), "month", month, "year", t.Year(), "clock", t.Format("15:04")))
}

var months = [12]Text{
	say("time.month.01"), say("time.month.02"), say("time.month.03"), say("time.month.04"),
	say("time.month.05"), say("time.month.06"), say("time.month.07"), say("time.month.08"),
	say("time.month.09"), say("time.month.10"), say("time.month.11"), say("time.month.12"),
}
