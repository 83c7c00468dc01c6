package resources

import (
	"context"
	"fmt"
	"time"
)

// Progress is what one look at an object shows.
type Progress struct {
	// Status is the object's own word: "queued", "active".
	Status string
	// Done ends the wait with success, Failed at once with an error.
	Done, Failed bool
	// Fault is what the object says of its failure.
	Fault string
}

// Wait says what is waited for and how long.
type Wait struct {
	// Object is named in the error: "image 7c3f (grenade-1-image)".
	Object string
	// Limit ends the wait. 0 means that only the context does.
	Limit time.Duration
	// Every is the time between two looks, default 400 ms: a look costs the cloud
	// up to a tenth of a second of a processor, which what is waited for needs, too.
	Every time.Duration
}

// WaitFor looks until the object is done. An object that has failed ends the
// wait at once with its fault; an error of look does, too. When time is up, the
// error names the object and the last status seen.
func WaitFor(ctx context.Context, wait Wait, look func(context.Context) (Progress, error)) error {
	parent := ctx
	if wait.Limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait.Limit)
		defer cancel()
	}
	if wait.Every <= 0 {
		wait.Every = 400 * time.Millisecond
	}
	ticker := time.NewTicker(wait.Every)
	defer ticker.Stop()
	last := "nothing"
	for {
		now, err := look(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("wait for %s, last seen %s: %w", wait.Object, last, err)
		case err == nil && now.Failed:
			return fmt.Errorf("wait for %s: it is in status %s: %s", wait.Object, now.Status, now.Fault)
		case err == nil && now.Done:
			return nil
		case err == nil:
			last = "status " + now.Status
		}
		select {
		case <-ctx.Done():
			if parent.Err() != nil {
				return fmt.Errorf("wait for %s, last seen %s: %w", wait.Object, last, parent.Err())
			}
			return fmt.Errorf("wait for %s: not done after %s, last seen %s", wait.Object, wait.Limit, last)
		case <-ticker.C:
		}
	}
}
