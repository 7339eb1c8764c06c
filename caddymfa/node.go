package caddymfa

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddymfa/gateway/caddymfa/internal/facts"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/operate"
	"github.com/caddymfa/gateway/caddymfa/internal/seal"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// nodes holds what outlives a reload of the configuration: during one, the
// former and the new instance of the app live side by side and must see the
// same store, and the same memory of it.
var nodes = caddy.NewUsagePool()

// node is an open store with everything that is made from it alone.
type node struct {
	opener storage.Opener
	name   string // of this node among those of one store

	mu        sync.Mutex // held while opening, and while declaring
	opened    bool
	store     storage.Storage
	box       *seal.Box
	keys      *session.Keyring
	facts     *facts.Source
	passwords *login.Passwords
	masters   operate.Masters
	unwatch   func()
	declared  []declaredBy
}

// hasFolder is an opener whose database has a folder on this machine, so that it
// belongs to this machine, and the master key may be kept beside it.
type hasFolder interface{ Folder() string }

// declaredBy is what one instance of the app declared.
type declaredBy struct {
	app         *App
	operator    *operate.Operator
	declaration operate.Declaration
}

// takeNode shares the node of the same store and keys, or makes one. It is
// given back only if it was taken: a configuration that fails before this must
// not close the store of the one that is running.
func (a *App) takeNode(opener storage.Opener) error {
	h := sha256.New()
	for _, m := range a.life.masters {
		h.Write(m)
	}
	key := fmt.Sprintf("%s %s %s %d %d %d", opener.Key(), hex.EncodeToString(h.Sum(nil)), a.SigningAlgorithm, a.RememberSessions, a.PasswordsAtOnce, a.InsecureStaleFor)
	v, _, err := nodes.LoadOrNew(key, func() (caddy.Destructor, error) {
		return &node{opener: opener, name: session.NewID()}, nil
	})
	if err != nil {
		return err
	}
	a.life.node = v.(*node)
	a.life.release = func() {
		a.life.node.undeclare(a)
		if _, err := nodes.Delete(key); err != nil {
			a.life.log.Error("closing the storage", zap.Error(err))
		}
	}
	return nil
}

// open opens the store once. A failure is tried again by whoever comes next, so
// that a database that was down at the start is found when it is up.
func (n *node) open(ctx context.Context, a *App) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.opened {
		return nil
	}
	masters := a.life.masters
	n.masters = configuredMasters(masters)
	if masters == nil {
		path := filepath.Join(n.opener.(hasFolder).Folder(), "master.key")
		keys, created, err := seal.KeyFiles(path)
		if err != nil {
			return err
		}
		if created {
			a.life.log.Info("made a master key; back it up apart from the database", zap.String("folder", n.opener.(hasFolder).Folder()))
		}
		masters, n.masters = keys, masterFile(path)
	}
	store, err := n.opener.Open(ctx)
	if err != nil {
		return fmt.Errorf("opening the storage: %w", err)
	}
	if err := store.Migrate(ctx); err != nil {
		store.Close()
		return fmt.Errorf("migrating the storage: %w", err)
	}
	box, err := seal.Open(ctx, store, now(), masters...)
	if err != nil {
		store.Close()
		return fmt.Errorf("checking the master key: %w", err)
	}
	n.store, n.box = store, box
	if err := n.report(ctx, now().Add(goneTime)); err != nil {
		store.Close()
		return fmt.Errorf("reporting that this node is there: %w", err)
	}
	remembered, err := facts.New(store, a.RememberSessions)
	if err != nil {
		store.Close()
		return err
	}
	if a.InsecureStaleFor > 0 {
		remembered.ServeStale(time.Duration(a.InsecureStaleFor))
		a.life.log.Warn("insecure_stale_for is on: while the database is down, what other nodes revoked or tightened a moment before still passes here",
			zap.Duration("for", time.Duration(a.InsecureStaleFor)))
	}
	n.facts = remembered
	n.keys = &session.Keyring{Store: store, Box: box, Now: now, Algorithm: a.SigningAlgorithm}
	n.passwords = login.NewPasswords(hasher{}, a.PasswordsAtOnce, 10*time.Second)
	following, stop := context.WithCancel(context.Background())
	heard := make(chan struct{}, 1)
	unwatch := store.Watch(func(c storage.Change) {
		if c.Subject == storage.SubjectKeys || c.Subject == storage.SubjectAll {
			n.keys.Forget()
			select {
			case heard <- struct{}{}:
			default: // it will be looked at in a moment
			}
		}
	})
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		n.follow(following, heard, a.life.log)
	}()
	n.unwatch = func() {
		unwatch()
		stop()
		<-followed
	}
	n.opened = true
	return nil
}

// A node reports that it is there so often, and counts as gone when it has not
// for so long.
const (
	reportTime = 20 * time.Second
	goneTime   = time.Minute
)

// report tells the other nodes of the store, if there can be any, that this one is
// there for a while, or goes.
func (n *node) report(ctx context.Context, until time.Time) error {
	if _, alone := n.opener.(hasFolder); alone {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	return operate.Report(ctx, n.store, n.box, host+" "+n.name[:8], now(), until)
}

// follow goes over to another master key when one of the nodes does, and lets
// them know that this one is there.
func (n *node) follow(ctx context.Context, heard <-chan struct{}, log *zap.Logger) {
	tick := time.NewTicker(reportTime)
	defer tick.Stop()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		n.report(ctx, now()) // if it cannot, it will count as gone in a while
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := n.report(ctx, now().Add(goneTime)); err != nil && ctx.Err() == nil {
				log.Warn("this node could not report that it is there", zap.Error(err))
			}
		case <-heard:
			if err := n.box.Follow(ctx, n.store); err != nil && ctx.Err() == nil {
				log.Error("secrets cannot be sealed as on the other nodes", zap.Error(err))
			}
		}
	}
}

// declare applies what an instance of the app declares.
func (n *node) declare(ctx context.Context, a *App, op *operate.Operator, d operate.Declaration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.declared = slices.DeleteFunc(n.declared, func(d declaredBy) bool { return d.app == a }) // a try that failed
	n.declared = append(n.declared, declaredBy{a, op, d})
	return op.Declare(ctx, d)
}

// undeclare forgets an instance. If it was the newest and another one lives on,
// its configuration failed to load after it had declared: what the running one
// declared holds again.
func (n *node) undeclare(a *App) {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(n.declared, func(d declaredBy) bool { return d.app == a })
	if i < 0 {
		return
	}
	newest := i == len(n.declared)-1
	n.declared = slices.Delete(n.declared, i, i+1)
	if !newest || len(n.declared) == 0 {
		return
	}
	former := n.declared[len(n.declared)-1]
	if err := former.operator.Declare(context.Background(), former.declaration); err != nil {
		a.life.log.Error("restoring the declared accounts and users of the running configuration", zap.Error(err))
	}
}

// Destruct closes the store, when the last instance has given it back.
func (n *node) Destruct() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.opened {
		return nil
	}
	n.opened = false
	n.unwatch()
	n.facts.Close()
	return n.store.Close()
}

// location says where the data lives, for people.
func (n *node) location() string { return location(n.opener) }

func location(opener storage.Opener) string {
	if at, ok := opener.(interface{ Location() string }); ok {
		return at.Location()
	}
	return opener.Key()
}
