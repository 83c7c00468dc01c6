package resources

import (
	"context"
	"fmt"
)

// Stage says on which side of the upgrade a verify runs. Its values are the
// second argument of a plugin's resources.sh.
type Stage string

// The two stages of a run.
const (
	PreUpgrade  Stage = "pre-upgrade"
	PostUpgrade Stage = "post-upgrade"
)

// Check is the survival test of one project. Phases call its methods in the
// order in which they stand here; Verify and VerifyNoAPI once per stage, or
// more often: they must be repeatable. A method returns
//
//   - nil when what it promises holds,
//   - an error that wraps *NotChecked when it has nothing to look at,
//   - an error that wraps *Difference when something is not as create saved it,
//   - any other error when it could not find out.
//
// Create may be called again after it failed or was killed, and Destroy always:
// both work from the store, and an object that is already gone is no error.
type Check interface {
	// EarlyCreate makes what other projects' Create needs.
	EarlyCreate(ctx context.Context) error
	// Create makes the resources and saves everything that a later phase
	// compares. It first removes what an earlier attempt left.
	Create(ctx context.Context) error
	// Verify looks through the APIs.
	Verify(ctx context.Context, stage Stage) error
	// VerifyNoAPI looks at the node itself, while the APIs are down.
	VerifyNoAPI(ctx context.Context, stage Stage) error
	// Destroy removes everything and makes sure that it is gone.
	Destroy(ctx context.Context) error
}

// Afresh is how a Create begins: destroy removes what an earlier attempt left, and the memory forgets it, but for
// keys that begin with one of keep. It fails with ErrNoTag before that if the cloud has no tag.
func Afresh(ctx context.Context, cloud Cloud, memory *Memory, destroy func(context.Context) error, keep ...string) error {
	if cloud.Tag == "" {
		return ErrNoTag
	}
	if err := destroy(ctx); err != nil {
		return fmt.Errorf("remove what an earlier create left: %w", err)
	}
	return memory.Forget(ctx, keep...)
}

// Solitary is what a Check is, too, that makes and removes nothing while the
// project's other check does.
type Solitary interface {
	Solitary()
}

// Unfit is the check of a project that cannot be checked on a cloud, and why.
type Unfit struct{ Reason string }

// EarlyCreate has nothing to make.
func (u Unfit) EarlyCreate(context.Context) error { return &NotChecked{Reason: u.Reason} }

// Create has nothing to make.
func (u Unfit) Create(context.Context) error { return &NotChecked{Reason: u.Reason} }

// Verify has nothing to look at.
func (u Unfit) Verify(context.Context, Stage) error { return &NotChecked{Reason: u.Reason} }

// VerifyNoAPI has nothing to look at.
func (u Unfit) VerifyNoAPI(context.Context, Stage) error { return &NotChecked{Reason: u.Reason} }

// Destroy has nothing to remove.
func (u Unfit) Destroy(context.Context) error { return &NotChecked{Reason: u.Reason} }
