package main

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// errNoEngine is what asks too much of a vCenter that was started for a preview.
var errNoEngine = errors.New("this vCenter was started with -engine=none: it has no hosts and no guests")

// noEngine is the Engine of a vCenter that is only looked at, as `./perenne check --simulated` does: nothing of the lab
// runs, and the machine needs no container engine.
type noEngine struct{}

// Machines implements Engine: there are none.
func (noEngine) Machines(context.Context, string) ([]Machine, error) { return nil, nil }

// Watch implements Engine: nothing ever changes.
func (noEngine) Watch(ctx context.Context, _ func(), _ func(kind, name string, at time.Time)) {
	<-ctx.Done()
}

// Reaches implements Engine: there is nobody to reach.
func (noEngine) Reaches(context.Context, Machine) bool { return false }

// What follows implements Engine by refusing.

func (noEngine) ExitCode(context.Context, string) (int, error)                { return 0, errNoEngine }
func (noEngine) CreateGuest(context.Context, GuestSpec) (string, error)       { return "", errNoEngine }
func (noEngine) Resize(context.Context, string, int64, int) error             { return errNoEngine }
func (noEngine) Start(context.Context, string) error                          { return errNoEngine }
func (noEngine) ShutDown(context.Context, string) error                       { return errNoEngine }
func (noEngine) Kill(context.Context, string, func()) error                   { return errNoEngine }
func (noEngine) Remove(context.Context, string) error                         { return errNoEngine }
func (noEngine) Connect(context.Context, string, string, netip.Addr) error    { return errNoEngine }
func (noEngine) Disconnect(context.Context, string, string, netip.Addr) error { return errNoEngine }
func (noEngine) StartedAt(context.Context, string) (time.Time, error) {
	return time.Time{}, errNoEngine
}
