package api

import (
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"
)

// object is a part of the document.
type object = map[string]any

// Version is that of the API. What was documented stays; more may be added.
const Version = "1.0.0"

func (c *call) document() (any, error) { return document(c.Base), nil }

// document describes the operations, in OpenAPI 3.1.
func document(base string) object {
	paths := object{}
	schemas := object{"Problem": schemaOf(Problem{})}
	for i := range operations {
		op := &operations[i]
		path, _ := paths[op.path].(object)
		if path == nil {
			path = object{}
			paths[op.path] = path
		}
		path[strings.ToLower(op.method)] = op.document(schemas)
	}
	return object{
		"openapi": "3.1.0",
		"info": object{"title": "caddymfa", "version": Version,
			"description": "What an account's own programs may do. A token belongs to one account, and so does everything that it reads and changes."},
		"servers": []object{{"url": base}},
		"paths":   paths,
		"components": object{
			"schemas": schemas,
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer",
				"description": "A token that an administrator made. Its scopes are among: " + strings.Join(scopes(), ", ") + "."}},
		},
	}
}

func (o *operation) document(schemas object) object {
	success := object{"description": http.StatusText(o.status())}
	if o.out != nil {
		success["content"] = object{"application/json": object{"schema": refer(schemas, o.out)}}
	}
	wrong := object{
		"description": "What went wrong",
		"content":     object{"application/problem+json": object{"schema": object{"$ref": "#/components/schemas/Problem"}}},
	}
	answers := object{strconv.Itoa(o.status()): success, "default": wrong}
	doc := object{"operationId": o.id, "summary": o.summary, "responses": answers}
	if o.about != "" {
		doc["description"] = o.about
	}
	if o.person != "" {
		doc["responses"] = object{strconv.Itoa(http.StatusForbidden): wrong, "default": wrong}
		doc["description"] = "It is refused: it needs an administrator of the account, in a browser, and the problem says where."
	}
	if !o.open {
		doc["security"] = []object{{"token": []string{string(o.scope)}}}
	} else {
		doc["security"] = []object{}
	}
	var parameters []object
	for _, segment := range strings.Split(o.path, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			parameters = append(parameters, object{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": plain})
		}
	}
	for _, p := range o.query {
		parameters = append(parameters, object{"name": p.name, "in": "query", "description": p.about, "schema": p.schema})
	}
	switch {
	case o.tagged && o.method == http.MethodGet:
		success["headers"] = object{"ETag": object{"description": "The version, for If-Match", "schema": plain}}
	case o.tagged:
		parameters = append(parameters, object{"name": "If-Match", "in": "header", "required": true,
			"description": "The ETag that was read. It is no more the present one: 412.", "schema": plain})
	case o.method == http.MethodPost && o.person == "":
		parameters = append(parameters, object{"name": "Idempotency-Key", "in": "header",
			"description": "The same key for the same request, within 24 hours: it is carried out once, and answered the same.",
			"schema":      &jsonschema.Schema{Type: "string", MinLength: jsonschema.Ptr(1), MaxLength: jsonschema.Ptr(maxKey)}})
	}
	if parameters != nil {
		doc["parameters"] = parameters
	}
	if o.in != nil {
		doc["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": refer(schemas, o.in)}}}
	}
	return doc
}

// refer puts the schema of a value's type among the others, under the type's name,
// and returns a reference to it. A type without a name may be anything.
func refer(schemas object, value any) any {
	name := reflect.TypeOf(value).Name()
	if name == "" {
		return object{"type": "object"}
	}
	schemas[name] = schemaOf(value)
	return object{"$ref": "#/components/schemas/" + name}
}

// schemaOf is the schema of a value's type. It panics if there is none: then the
// program was put together wrongly.
func schemaOf(value any) *jsonschema.Schema {
	s, err := jsonschema.ForType(reflect.TypeOf(value), &jsonschema.ForOptions{TypeSchemas: wordSchemas})
	if err != nil {
		panic(fmt.Sprintf("the API's schema of %T: %v", value, err))
	}
	withoutNull(s)
	return s
}

// withoutNull takes null out of a schema: a list that is empty is there, and what
// is not said is left out.
func withoutNull(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if len(s.Types) == 2 && s.Types[0] == "null" {
		s.Type, s.Types = s.Types[1], nil
	}
	withoutNull(s.Items)
	for _, p := range s.Properties {
		withoutNull(p)
	}
}

// resolved holds the schemas of bodies by type, ready to check them.
var resolved sync.Map // reflect.Type to *jsonschema.Resolved

// checkIn holds a body to the schema in the document.
func (o *operation) checkIn(value any) error {
	t := reflect.TypeOf(o.in)
	ready, ok := resolved.Load(t)
	if !ok {
		made, err := schemaOf(o.in).Resolve(nil)
		if err != nil {
			return fmt.Errorf("resolving the schema of %s: %w", t, err)
		}
		ready, _ = resolved.LoadOrStore(t, made)
	}
	return ready.(*jsonschema.Resolved).Validate(value)
}
