package sqlstore

import "slices"

// Sweep is a statement that deletes what is over, and where.
type Sweep struct{ Table, Key, Column, Statement string }

// Sweeps are all of them that find what is over by a time.
func (d Dialect) Sweeps(limit int) (list []Sweep) {
	for _, e := range slices.Concat(mailsOver, sessionsOver, devicesOver, ticketsOver, tokensOver, repliesOver, attemptsOver, leasesOver, assurancesOver) {
		list = append(list, Sweep{e.table, e.key, e.column, d.rebind(e.statement(d, limit))})
	}
	return list
}

// Dialect is the store's.
func (s *Store) Dialect() Dialect { return s.dialect }
