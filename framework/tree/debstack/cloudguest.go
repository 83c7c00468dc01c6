package debstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"grenade/framework/config"
	"grenade/framework/report"
)

// imageService is the lib that offers the guest as an image.
const imageService = "glance"

// guestDir is where the guest's files are in the node (GUEST_DIR).
func guestDir(settings *config.Config) string { return filepath.Join(settings.StackRoot, "guest") }

// ensureGuest starts to make, beside the roots, what the cloud's servers boot
// from, if the cloud has images. The channel gives one answer, without a root
// when none is needed; stop ends the making and lets go of what nobody took.
func (c *Cloud) ensureGuest(ctx context.Context, mirror *Mirror, services []string) (answer <-chan madeRoot, stop func() error, err error) {
	if !slices.Contains(services, imageService) || c.options.Config.BaseLayer != "" {
		none := make(chan madeRoot)
		close(none) // a layer's images are in it
		return none, func() error { return nil }, nil
	}
	builder, err := NewGuestBuilder(&Mmdebstrap{Mirror: mirror})
	if err != nil {
		return nil, nil, err
	}
	answer, stop = c.makeGuest(ctx, &Cache{Dir: c.options.Config.CacheDir, Of: KindGuest, Archives: mirror, Builder: builder})
	return answer, stop, nil
}

// makeGuest makes it in the background.
func (c *Cloud) makeGuest(ctx context.Context, cache *Cache) (answer <-chan madeRoot, stop func() error) {
	made := make(chan madeRoot, 1)
	base, began := c.options.Config.Base, time.Now()
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer close(made)
		root, err := cache.Ensure(ctx, Want{Release: base.Name, Suite: base.Suite, Packages: GuestPackages()}, c.options.Progress)
		c.took("guest", report.Roots, began)
		made <- madeRoot{root, err}
	}()
	return made, func() error {
		cancel()
		for left := range made {
			if left.root != nil {
				return left.root.Release()
			}
		}
		return nil
	}
}

// takeGuest waits for the guest.
func (c *Cloud) takeGuest(made <-chan madeRoot) error {
	guest := <-made
	if guest.err != nil {
		return guest.err
	}
	if guest.root != nil {
		c.guest = guest.root
		c.held = append(c.held, guest.root)
		c.tellAge(guest.root)
	}
	return nil
}

// writeGuest copies the guest's files into the node's upper layer. A node may
// outlive the run, and then nothing would hold the cached ones for it.
func (c *Cloud) writeGuest(upper string) error {
	if c.guest == nil {
		return nil
	}
	listed, err := os.ReadDir(c.guest.Path)
	if err != nil {
		return fmt.Errorf("files of the guest: %w", err)
	}
	dir := filepath.Join(upper, guestDir(c.options.Config))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("directory of the guest: %w", err)
	}
	if err := own(dir, 0o755, 0, 0); err != nil {
		return fmt.Errorf("directory of the guest: %w", err)
	}
	for _, file := range listed {
		to := filepath.Join(dir, file.Name())
		if err := copyFile(filepath.Join(c.guest.Path, file.Name()), to); err != nil {
			return fmt.Errorf("file of the guest: %w", err)
		}
		if err := own(to, 0o444, 0, 0); err != nil {
			return fmt.Errorf("file of the guest: %w", err)
		}
	}
	return nil
}

func copyFile(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	defer source.Close()
	target, err := os.Create(to)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	if _, err := io.Copy(target, source); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return nil
}
