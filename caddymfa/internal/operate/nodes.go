package operate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/seal"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// nodeLease begins the name of the lease that a node has while it is there. Its
// holder are the names of the master keys that the node was given.
const nodeLease = "node "

// Report tells the other nodes of a store that this one is there until then, and
// which master keys it was given. An until that is not after now says that it goes.
func Report(ctx context.Context, store storage.Leases, box *seal.Box, node string, now, until time.Time) error {
	return store.TakeLease(ctx, nodeLease+node, strings.Join(box.Given(), " "), now, until)
}

// everyNodeHas refuses unless every node that is there was given the master key.
func (o *Operator) everyNodeHas(ctx context.Context, key string) error {
	leases, err := o.Store.LeasesAt(ctx, o.Now())
	if err != nil {
		return err
	}
	var without []string
	for _, l := range leases {
		if node, ok := strings.CutPrefix(l.Name, nodeLease); ok && !slices.Contains(strings.Fields(l.Holder), key) {
			without = append(without, node)
		}
	}
	if len(without) > 0 {
		return fmt.Errorf("%w: these nodes were not given the master key %s, and would go out of service: %s. Load it there first, or leave them behind (--leave-nodes-behind)",
			ErrInvalid, key, strings.Join(without, ", "))
	}
	return nil
}
