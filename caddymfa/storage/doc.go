// Package storage is the contract between the gate and what remembers things
// for it: one small interface per noun, put together as [Storage].
//
// Methods name the invariant that they keep. A store that cannot keep one must
// return an error, never a guess: the gate refuses on any error it does not
// know. The suite in storagetest is the contract's other half, and every store
// passes it.
//
// The functions given to Update methods run inside the write, and may run more
// than once. They must be quick and must not call the store: it may have only
// one connection to write with, and would wait for itself.
//
// Where the zero time means "not yet" (a session revoked, a code used, a key
// retired), a store refuses it as the time when that happened.
//
// Secrets reach a store sealed or hashed; a store never sees one in the clear.
package storage
