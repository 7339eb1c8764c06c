package storage

import "context"

// Schema is how far a store's tables are.
type Schema struct {
	Version int      // of the store; 0: it has none of ours
	Latest  int      // that this program works with
	Pending []string // the steps that Migrate would take, in their order
}

// Table is how many rows a table has.
type Table struct {
	Name string
	Rows int64
}

// Maintenance is for operators. It works on any schema, also on one that is newer
// than this program or not there yet, and changes nothing.
type Maintenance interface {
	Schema(ctx context.Context) (Schema, error)
	// Tables counts the rows of all tables that hold what the gate remembers,
	// in an order in which they may be filled. It reads all of them.
	Tables(ctx context.Context) ([]Table, error)
	// Size is how many bytes the store takes on disk, about.
	Size(ctx context.Context) (int64, error)
}

// Copier is a store that can take over everything that another one holds.
type Copier interface {
	// CopyFrom fills this store, which must be migrated and empty (ErrExists),
	// with the rows of another one of the same schema. All of them arrive in one
	// write, or none does; tell hears of each table. Secrets stay sealed as they
	// are. ErrConflict: the other store was written to meanwhile.
	CopyFrom(ctx context.Context, from Storage, tell func(Table)) error
}
