package debstack

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"grenade/framework/guest"
)

//go:embed hooks/extract.sh
var extractHook string

// GuestBuilder makes guests (package guest) of Debian's packages, which it unpacks without installing them.
type GuestBuilder struct {
	unpack *Mmdebstrap
	recipe string
}

// NewGuestBuilder returns a builder that gets packages as roots get theirs.
func NewGuestBuilder(packages *Mmdebstrap) (*GuestBuilder, error) {
	recipe, err := guest.Recipe()
	if err != nil {
		return nil, err
	}
	return &GuestBuilder{unpack: packages, recipe: recipe}, nil
}

// guestImage is what the image of the guest is called in the cloud. Native checks ask for it by this name, while plugins name
// images that this cloud does not have.
const guestImage = "grenade-guest"

// GuestPackages are what a guest is made of, on this machine's architecture.
func GuestPackages() []string { return guest.Packages(debianArchitecture()) }

// Recipe is everything but packages and architecture that decides what a guest is like.
func (b *GuestBuilder) Recipe() string {
	return strings.Join(append(recipeOptions("extract"), extractHook, b.recipe), "\n")
}

// Build makes a guest's files in order.Root.
func (b *GuestBuilder) Build(ctx context.Context, order BuildOrder, progress func(string)) (Built, error) {
	into := order.Root
	order.Root = filepath.Join(order.Scratch, "packages")
	list := filepath.Join(order.Scratch, "packages.list")
	digest, err := b.unpack.run(ctx, order, "extract", []hook{
		{name: "extract", stage: "extract", script: extractHook, arguments: []string{order.release(), list}},
	}, progress)
	if err != nil {
		return Built{}, err
	}
	packages, err := readPackageList(list)
	if err != nil {
		return Built{}, err
	}
	if err := os.Mkdir(into, 0o755); err != nil {
		return Built{}, fmt.Errorf("directory of the guest: %w", err)
	}
	if err := guest.Build(order.Root, into); err != nil {
		return Built{}, err
	}
	if err := os.Remove(list); err != nil {
		return Built{}, fmt.Errorf("list of the packages: %w", err)
	}
	return Built{Digest: digest, Packages: packages}, removeTree(order.Root)
}

// Abandon kills what is left of a build that was itself killed.
func (b *GuestBuilder) Abandon(ctx context.Context, scratch string) error {
	return b.unpack.Abandon(ctx, scratch)
}

// readPackageList reads lines "<name> <version>".
func readPackageList(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("packages that were unpacked: %w", err)
	}
	packages := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, version, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			return nil, fmt.Errorf("packages that were unpacked: the line %q is not a name and a version", strings.TrimSpace(line))
		}
		packages[name] = version
	}
	return packages, nil
}
