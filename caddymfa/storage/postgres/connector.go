package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"
	"time"
)

// patience is how often in a row connecting may fail before most are told at
// once that it does.
const patience = 3

// connector spares a database that cannot be connected to. Every request asks for
// a connection then, and each attempt costs the server a process: one that comes
// back would have to get through those of everybody who gave up meanwhile before
// it answers anybody. So while connecting fails, one of them tries in each pause,
// and the others hear what the last one heard.
type connector struct {
	driver.Connector
	now func() time.Time

	mu     sync.Mutex
	failed int       // how often in a row
	err    error     // of the last time
	next   time.Time // when somebody may try again
}

// Connect implements [driver.Connector].
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.turn(); err != nil {
		return nil, err
	}
	conn, err := c.Connector.Connect(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.failed = 0
	case !errors.Is(err, context.Canceled): // which says nothing of the database
		c.failed, c.err = c.failed+1, err
	}
	return conn, err
}

// turn returns why not to try now.
func (c *connector) turn() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed < patience {
		return nil
	}
	now := c.now()
	if now.Before(c.next) {
		return c.err
	}
	c.next = now.Add(pause)
	return nil
}
