package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"testing"
	"time"
)

// server counts who connects to it.
type server struct {
	driver.Connector
	asked int
	err   error
}

func (s *server) Connect(context.Context) (driver.Conn, error) {
	s.asked++
	return nil, s.err
}

func TestConnectorSparesADatabaseThatIsDown(t *testing.T) {
	s := &server{err: errors.New("refused")}
	now := time.Unix(1000, 0)
	c := &connector{Connector: s, now: func() time.Time { return now }}
	ask := func(n int) (asked, failed int) {
		before := s.asked
		for range n {
			if _, err := c.Connect(t.Context()); err != nil {
				if !errors.Is(err, s.err) && s.err != nil {
					t.Errorf("heard %v", err)
				}
				failed++
			}
		}
		return s.asked - before, failed
	}
	if asked, failed := ask(100); asked != patience+1 || failed != 100 {
		t.Errorf("of 100, %d tried and %d failed", asked, failed)
	}
	for range 5 {
		now = now.Add(pause)
		if asked, failed := ask(100); asked != 1 || failed != 100 {
			t.Errorf("in one pause %d of 100 tried and %d failed", asked, failed)
		}
	}
	s.err = nil
	if asked, failed := ask(100); asked != 0 || failed != 100 {
		t.Errorf("before the pause is over %d of 100 tried and %d failed", asked, failed)
	}
	now = now.Add(pause)
	if asked, failed := ask(100); asked != 100 || failed != 0 {
		t.Errorf("when it is back, %d of 100 tried and %d failed", asked, failed)
	}
}

// Who gives up by themselves tell nothing of the database.
func TestConnectorCountsNobodyWhoGaveUp(t *testing.T) {
	s := &server{err: context.Canceled}
	c := &connector{Connector: s, now: time.Now}
	for range 100 {
		c.Connect(t.Context())
	}
	if s.asked != 100 {
		t.Errorf("of 100 only %d tried", s.asked)
	}
}
