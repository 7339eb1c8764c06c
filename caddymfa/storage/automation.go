package storage

import (
	"context"
	"time"
)

// Token is what a program of an account shows to act in it.
type Token struct {
	ID       string
	Account  string
	Name     string   // for people
	Hash     []byte   // of what is shown
	Scopes   []string // what it may do; none: nothing
	Networks []string // from where, as CIDR prefixes; none: from anywhere
	By       string   // the user who made it
	Created  time.Time
	Expires  time.Time
	Used     time.Time // when it was last shown; zero: never
	UsedFrom string    // the client's address then
	Revoked  time.Time // zero: it was not
}

// Tokens stores what programs show.
type Tokens interface {
	// CreateToken adds a token. ErrNotFound: no such account. ErrConflict: the
	// account has max of them already, apart from those that are over by the time
	// it was created.
	CreateToken(ctx context.Context, t Token, max int) error
	// TokenByHash returns a token, also one that is over.
	TokenByHash(ctx context.Context, hash []byte) (Token, error)
	// TokensOf lists an account's tokens by id, after the given one; those that
	// are over, too.
	TokensOf(ctx context.Context, account, after string, limit int) ([]Token, error)
	// UseToken notes that a token was shown, unless it was noted at since or
	// later.
	UseToken(ctx context.Context, id, from string, at, since time.Time) error
	// RevokeToken ends one of an account's tokens. ErrNotFound: it is not the
	// account's, or was revoked already.
	RevokeToken(ctx context.Context, account, id string, at time.Time) error
	// SweepTokens deletes up to limit tokens that were over before the given time,
	// and returns how many.
	SweepTokens(ctx context.Context, before time.Time, limit int) (int, error)
}

// Reply is what a program was answered, so that it may ask again without having
// its wish carried out twice.
type Reply struct {
	Token   string // whose request it was
	Key     string // what the program calls the request
	Request []byte // tells this request from another one under the same key
	Status  int    // 0: it is still being carried out
	Body    []byte
	Created time.Time
}

// Replies stores answers.
type Replies interface {
	// ClaimReply begins a reply with Status 0. If there is one under this key, it
	// is returned with ErrExists.
	ClaimReply(ctx context.Context, r Reply) (Reply, error)
	// FinishReply gives a claimed reply its status and body. ErrNotFound: there is
	// none that is still open.
	FinishReply(ctx context.Context, token, key string, status int, body []byte) error
	// DropReply forgets a claimed reply: nothing was carried out. ErrNotFound as
	// for FinishReply.
	DropReply(ctx context.Context, token, key string) error
	// SweepReplies deletes up to limit replies created before the given time, and
	// returns how many.
	SweepReplies(ctx context.Context, before time.Time, limit int) (int, error)
}
