package adminapi

import "time"

// Key is a signing key: what it is, and never the key itself.
type Key struct {
	ID        string     `json:"id"`      // the "kid" of its tokens
	Purpose   string     `json:"purpose"` // "session" or "assertion"
	Algorithm string     `json:"algorithm"`
	Created   time.Time  `json:"created"`
	Retired   *time.Time `json:"retired,omitempty"` // it only verifies since then
}

func (c *call) listKeys() (any, error) {
	keys, err := c.Operator.SigningKeys(c.ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Key, len(keys))
	for i, k := range keys {
		list[i] = Key{ID: k.ID, Purpose: string(k.Purpose), Algorithm: k.Algorithm, Created: k.Created.UTC(), Retired: moment(k.Retired)}
	}
	return list, nil
}

func (c *call) rotateKeys() (any, error) {
	if err := c.Operator.RotateKeys(c.ctx); err != nil {
		return nil, err
	}
	return c.listKeys()
}
