package adminapi

import (
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/operate"
)

// MasterKey is a master key: its name, and never the key itself.
type MasterKey struct {
	Name    string     `json:"name"`
	Created time.Time  `json:"created"`
	Retired *time.Time `json:"retired,omitempty"` // it only opens since then
	Given   bool       `json:"given"`             // to this node
	Values  int64      `json:"values"`            // that are sealed under it
}

// Resealed is how far the replacement of the master key has come.
type Resealed struct {
	Key  string `json:"key"`  // that seals now
	Done int    `json:"done"` // by this step
	Left int64  `json:"left"` // under former keys
}

func (c *call) listMasterKeys() (any, error) {
	uses, err := c.Operator.MasterKeys(c.ctx)
	if err != nil {
		return nil, err
	}
	list := make([]MasterKey, len(uses))
	for i, u := range uses {
		list[i] = MasterKey{Name: u.Key.ID, Created: u.Key.Created.UTC(), Retired: moment(u.Key.Retired), Given: u.Given, Values: u.Values}
	}
	return list, nil
}

func (c *call) replaceMasterKey() (any, error) {
	leave := c.ask.Get("leave_nodes_behind")
	if leave != "" && leave != "true" {
		return nil, invalid("leave_nodes_behind %q: expected true, or nothing", leave)
	}
	return resealed(c.Operator.ReplaceMasterKey(c.ctx, leave == "true"))
}

func (c *call) reseal() (any, error) { return resealed(c.Operator.Reseal(c.ctx)) }

func resealed(r operate.Resealed, err error) (any, error) { return Resealed(r), err }
