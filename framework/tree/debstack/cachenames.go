package debstack

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// entries lists the entries of a set, or all of them for "".
func (c *Cache) entries(set string) ([]string, error) {
	names, err := c.names()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, name := range names {
		if !strings.HasPrefix(name, ".") && strings.HasPrefix(name, set) {
			found = append(found, filepath.Join(c.Entries(), name))
		}
	}
	return found, nil
}

// leftovers lists builds and removals that are in progress or were killed.
func (c *Cache) leftovers() ([]string, error) {
	names, err := c.names()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return !strings.HasPrefix(name, buildingPrefix) && !strings.HasPrefix(name, removingPrefix)
	}), nil
}

func (c *Cache) leftoverSets() ([]string, error) {
	names, err := c.leftovers()
	if err != nil {
		return nil, err
	}
	var sets []string
	for _, name := range names {
		if set, _, ok := cutSet(name); ok {
			sets = append(sets, set)
		}
	}
	return unique(sets), nil
}

func (c *Cache) names() ([]string, error) {
	listed, err := os.ReadDir(c.Entries())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list the cache: %w", err)
	}
	names := make([]string, len(listed))
	for i, entry := range listed {
		names[i] = entry.Name()
	}
	return names, nil
}

func (c *Cache) lockFile(set string) string {
	return filepath.Join(c.Entries(), lockPrefix+strings.TrimSuffix(set, "-"))
}

// setHash stands for everything but suite and archive that decides what is built.
func (c *Cache) setHash(want Want) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		strings.Join(wholeSet(want.Packages), " "), c.Builder.Recipe(), debianArchitecture(),
	}, "\n") + want.Extra.text()))
	return hex.EncodeToString(sum[:4])
}

// wholeSet is what is asked of the archive: what is wanted, sorted, each once.
func wholeSet(packages []string) []string {
	whole := slices.Clone(packages)
	slices.Sort(whole)
	return slices.Compact(whole)
}

// setPrefix is what the names of a set's entries begin with.
func setPrefix(suite, hash string) string { return suite + "-" + hash + "-" }

// cutSet finds the set in the name of an entry, a build or a removal.
func cutSet(name string) (set string, building, ok bool) {
	name, building = strings.CutPrefix(name, buildingPrefix)
	name = strings.TrimPrefix(name, removingPrefix)
	part := strings.SplitN(name, "-", 3)
	if len(part) != 3 {
		return "", building, false
	}
	return setPrefix(part[0], part[1]), building, true
}

func shortDigest(digest string) string { return digest[:min(12, len(digest))] }

func gigabytes(bytes int64) string {
	if bytes < 1e8 {
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
}

// roundAge is how people say an age.
func roundAge(age time.Duration) string {
	switch {
	case age >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(age.Hours()/24))
	case age >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(age.Hours()))
	default:
		return age.Round(time.Second).String()
	}
}
