package web

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// format is how rows are written to a file.
type format[R any] struct {
	kind  string // its media type
	begin func(w io.Writer) (write func(R) error, end func() error)
}

// csvOf is a table whose cells are harmless to spreadsheets (RFC 4180).
func csvOf[R any](columns []string, record func(R) []string) format[R] {
	return format[R]{"text/csv; charset=utf-8", func(w io.Writer) (func(R) error, func() error) {
		out := csv.NewWriter(w)
		out.Write(columns) // an error stays until the end
		write := func(row R) error {
			cells := record(row)
			for i, cell := range cells {
				cells[i] = harmless(cell)
			}
			return out.Write(cells)
		}
		return write, func() error { out.Flush(); return out.Error() }
	}}
}

// jsonLines is a JSON value on each line.
func jsonLines[R any]() format[R] {
	return format[R]{"application/jsonl", func(w io.Writer) (func(R) error, func() error) {
		out := json.NewEncoder(w)
		return func(row R) error { return out.Encode(row) }, func() error { return nil }
	}}
}

// harmless keeps a cell from being a formula: spreadsheets run what begins like
// one, and people choose their own names.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(cell)[0]) {
		return "'" + cell
	}
	return cell
}

// send answers with a file, of rows that are sent as they are read. What goes
// wrong before the first row is returned; later, the answer can only be broken
// off, because what was sent so far must not pass for the whole.
func send[R any](c *call, name string, f format[R], rows func(write func(R) error) error) error {
	var write func(R) error
	var end func() error
	begin := func() {
		h := c.w.Header()
		h.Set("Content-Type", f.kind)
		h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		write, end = f.begin(c.w)
	}
	err := rows(func(row R) error {
		if write == nil {
			begin()
		}
		return write(row)
	})
	if write == nil {
		if err != nil {
			return err
		}
		begin()
	}
	if err == nil {
		return end()
	}
	c.s.Fault(c.r, "sending "+name, err)
	panic(http.ErrAbortHandler)
}
