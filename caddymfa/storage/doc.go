// Package storage is the contract between the gate and what remembers things
// for it: one small interface per noun, put together as [Storage].
//
// Methods name the invariant that they keep. A store that cannot keep one must
// return an error, never a guess: the gate refuses on any error it does not
// know. The suite in storagetest is the contract's other half, and every store
// passes it.
//
// Secrets reach a store sealed or hashed; a store never sees one in the clear.
package storage
