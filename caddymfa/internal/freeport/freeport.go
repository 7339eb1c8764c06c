// Package freeport gives out TCP ports for tests whose servers must be told
// theirs before they listen.
//
// To listen on port 0, close, and use that port again is a race: until the server
// listens, the system may give it to anybody, also to a connection that goes out.
// So these ports lie below those that systems take for that by themselves, each
// is given out once, and processes that run side by side have different ones.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Linux takes ports from 32768 on, others from 49152 on.
const (
	first  = 20000
	blocks = 120
	size   = 100 // of a block
)

var taken struct {
	mu    sync.Mutex
	claim []net.Listener // on the first port of each block that is this process's
	next  int
	left  int
}

// Take returns a port on which nobody listens, and which nobody else gets from
// here while this process lives.
func Take() (int, error) {
	taken.mu.Lock()
	defer taken.mu.Unlock()
	for {
		if taken.left == 0 {
			if err := claim(); err != nil {
				return 0, err
			}
		}
		port := taken.next
		taken.next++
		taken.left--
		// Somebody may listen all the same, who does not know of this package.
		if l, err := net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			return port, l.Close()
		}
	}
}

// claim makes a block this process's, by listening on its first port until the
// process ends.
func claim() error {
	for _, n := range rand.Perm(blocks) {
		start := first + n*size
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", start))
		if err != nil {
			continue
		}
		taken.claim = append(taken.claim, l)
		taken.next, taken.left = start+1, size-1
		return nil
	}
	return errors.New("finding a free port: all blocks are taken")
}
