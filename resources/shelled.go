package resources

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Shelled is a plugin's resources.sh as a Check.
type Shelled struct {
	// Dir is the plugin's directory, the one that holds settings.
	Dir string
	// Run runs the plugin's resources.sh with these arguments and returns an
	// error unless it exits 0. Where the script turns out to do nothing in this
	// phase, Run returns *NotChecked.
	Run func(ctx context.Context, args ...string) error
}

var _ Check = Shelled{}

// EarlyCreate runs "resources.sh early_create".
func (s Shelled) EarlyCreate(ctx context.Context) error { return s.run(ctx, "early_create") }

// Create runs "resources.sh create".
func (s Shelled) Create(ctx context.Context) error { return s.run(ctx, "create") }

// Verify runs "resources.sh verify <stage>".
func (s Shelled) Verify(ctx context.Context, stage Stage) error {
	return s.run(ctx, "verify", string(stage))
}

// VerifyNoAPI runs "resources.sh verify_noapi <stage>".
func (s Shelled) VerifyNoAPI(ctx context.Context, stage Stage) error {
	return s.run(ctx, "verify_noapi", string(stage))
}

// Destroy runs "resources.sh destroy".
func (s Shelled) Destroy(ctx context.Context) error { return s.run(ctx, "destroy") }

func (s Shelled) run(ctx context.Context, args ...string) error {
	script := filepath.Join(s.Dir, "resources.sh")
	if _, err := os.Stat(script); errors.Is(err, fs.ErrNotExist) {
		return &NotChecked{Reason: "the plugin has no resources.sh in " + s.Dir}
	} else if err != nil {
		return fmt.Errorf("look for the plugin's resources.sh: %w", err)
	}
	return s.Run(ctx, args...)
}
