package freeport

import (
	"fmt"
	"net"
	"testing"
)

// TestTake takes more than a block has, among ports some of which are in use.
func TestTake(t *testing.T) {
	seen := make(map[int]bool)
	var others []net.Listener
	for n := range 3 * size {
		port, err := Take()
		if err != nil {
			t.Fatal(err)
		}
		if seen[port] || port <= first || port >= first+blocks*size {
			t.Fatalf("got port %d", port)
		}
		seen[port] = true
		if n%10 == 0 { // somebody takes the next one
			if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1)); err == nil {
				others, seen[port+1] = append(others, l), true
			}
		}
	}
	for _, l := range others {
		l.Close()
	}
	if len(taken.claim) < 3 {
		t.Errorf("%d ports came from %d blocks", 3*size, len(taken.claim))
	}
}
