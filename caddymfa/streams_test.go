package caddymfa

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestStreamsAreJudgedUntilTheyEnd: who may no longer be there is cut off, once,
// and nobody whose request is over.
func TestStreamsAreJudgedUntilTheyEnd(t *testing.T) {
	may := map[string]bool{"stays": true, "goes": false, "left": false}
	var judged []string
	s := streams{running: true} // no clock: the test reviews
	s.judge = func(st *stream) bool { judged = append(judged, st.session); return may[st.session] }
	opened := map[string]*stream{}
	for name := range may {
		opened[name] = &stream{session: name}
		s.add(opened[name])
	}
	ctx, cancel := context.WithCancel(t.Context())
	opened["goes"].cancel = cancel
	cut := func(name string) bool { return opened[name].over.Load() }
	s.remove(opened["left"])
	if !s.review() {
		t.Error("streams that are open need no judge any more")
	}
	if len(judged) != 2 || cut("left") {
		t.Errorf("judged %q; what was over was cut: %v", judged, cut("left"))
	}
	if !cut("goes") || ctx.Err() == nil || cut("stays") {
		t.Errorf("cut: %v, told: %v; and who may stay: %v", cut("goes"), ctx.Err(), cut("stays"))
	}
	judged = nil
	s.review()
	if len(judged) != 1 {
		t.Errorf("judged again: %q", judged)
	}
	s.remove(opened["stays"])
	if s.review() || s.running {
		t.Error("nobody is left, and the judge goes on")
	}
}

// TestLongAnswersAreStreams tells what goes on for long from what does not, with
// the clock in the test's hand.
func TestLongAnswersAreStreams(t *testing.T) {
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	large := make([]byte, streamsFrom)
	rand.Read(large)
	flushesLater := func(w *guardedWriter) error { w.FlushError(); at = at.Add(time.Second); return w.FlushError() }
	for name, test := range map[string]struct {
		answer  func(*guardedWriter) error
		refused bool // if judged now
		watched bool
		fails   bool
	}{
		"one block":    {answer: func(w *guardedWriter) error { _, err := w.Write(large); return err }},
		"more":         {answer: func(w *guardedWriter) error { w.Write(large); _, err := w.Write(large[:1]); return err }, watched: true},
		"a small file": {answer: func(w *guardedWriter) error { _, err := io.CopyN(w, bytes.NewReader(large), 9); return err }},
		"a large file": {answer: func(w *guardedWriter) error {
			_, err := w.ReadFrom(bytes.NewReader(append(large, "end"...)))
			return err
		}, watched: true},
		"flushes at once":                      {answer: func(w *guardedWriter) error { w.FlushError(); return w.FlushError() }},
		"flushes a second later":               {answer: flushesLater, watched: true},
		"flushes a second later, and may not":  {answer: flushesLater, refused: true, fails: true},
		"nobody's to judge":                    {answer: func(w *guardedWriter) error { w.streams = nil; return flushesLater(w) }, refused: true},
		"writes what nobody may have any more": {answer: func(w *guardedWriter) error { w.stream.cut(); _, err := w.Write(large); return err }, fails: true},
		"sends a file nobody may have any more": {answer: func(w *guardedWriter) error {
			w.stream.cut()
			_, err := io.CopyN(w, bytes.NewReader(large), 9)
			return err
		}, fails: true},
		"sends a stream that nobody may have more": {answer: func(w *guardedWriter) error { _, err := w.ReadFrom(&endless{w: w}); return err }, watched: true, fails: true},
	} {
		all := &streams{now: func() time.Time { return at }, judge: func(*stream) bool { return !test.refused }, running: true}
		sent := httptest.NewRecorder()
		w := &guardedWriter{streams: all}
		w.ResponseWriter = sent
		err := test.answer(w)
		if w.watched != test.watched || (err != nil) != test.fails {
			t.Errorf("%s: watched %v, want %v; failed: %v, want %v", name, w.watched, test.watched, err, test.fails)
		}
		if name == "a large file" && !bytes.Equal(sent.Body.Bytes(), append(large, "end"...)) {
			t.Errorf("%s came as %d other bytes", name, sent.Body.Len())
		}
		if w.leave(); len(all.open) != 0 {
			t.Errorf("%s is still open", name)
		}
	}
	for header, want := range map[string]bool{"Accept: text/event-stream": true, "Upgrade: websocket": true, "Accept: text/html": false} {
		name, value, _ := strings.Cut(header, ": ")
		if got := waits(&http.Request{Header: http.Header{name: {value}}}); got != want {
			t.Errorf("%s waits: %v, want %v", header, got, want)
		}
	}
}

// endless is a file without an end, of which a part is read before the person may
// have no more of it.
type endless struct {
	w    *guardedWriter
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.read += len(p); e.read > 2*streamsFrom {
		e.w.stream.cut()
	}
	if e.read > 8*streamsFrom {
		return 0, errors.New("it was sent all the same")
	}
	return len(p), nil
}
