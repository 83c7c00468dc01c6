package debstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"grenade/framework/config"
)

// Extra are packages that a root prefers over its suite's archive, whatever their versions: a packager's own
// (BASE_EXTRA_PACKAGES, TARGET_EXTRA_PACKAGES). A nil Extra is none.
type Extra struct {
	from config.ExtraPackages
	// digest stands for what the packages are now.
	digest string
	// versions are what there is, by package.
	versions map[string][]string
	// debs are a directory's.
	debs []debFile
	// pin tells these packages from others (apt_preferences(5), "Pin:").
	pin string
	// unknown is why an apt source could not be asked; the rest is empty then.
	unknown error
}

// FindExtra reads what the setting names: every package of the directory, or the index of the apt source. mirror
// supplies the proxies and, with its AllowExpired, the patience. It is nil when nothing is named.
//
// The error belongs to ErrSetting, and names every mistake: no directory, none or unreadable packages in it, packages of
// another architecture, a source that is not there. A source that cannot be reached is no error: a cached root may do.
func FindExtra(ctx context.Context, mirror *Mirror, from config.ExtraPackages) (*Extra, error) {
	if from.None() {
		return nil, nil
	}
	var extra *Extra
	var err error
	if from.Directory != "" {
		extra, err = readExtraDirectory(ctx, from.Directory)
	} else {
		extra, err = readExtraSource(ctx, mirror, from.Source)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", from.Setting, err)
		if ctx.Err() == nil {
			err = setting(err)
		}
		return nil, err
	}
	extra.from = from
	return extra, nil
}

// text is what the extra packages add to the hash of a package set.
func (e *Extra) text() string {
	if e == nil {
		return ""
	}
	return "\n" + e.from.String() + "\n" + extraRecipe()
}

// with is an archive's state together with that of the extra packages.
func (e *Extra) with(archive Archive, err error) (Archive, error) {
	if e == nil || err != nil {
		return archive, err
	}
	if e.unknown != nil {
		return Archive{}, environment(fmt.Errorf("%s: %w", e.from.Setting, e.unknown))
	}
	archive.Digest = e.digestWith(archive.Digest)
	return archive, nil
}

func (e *Extra) digestWith(digest string) string {
	if e == nil {
		return digest
	}
	return sumOf(digest + "\n" + e.digest)
}

// has says whether one of the extra packages has that name.
func (e *Extra) has(name string) bool {
	if e == nil {
		return false
	}
	_, ok := e.versions[name]
	return ok
}

// Used lists which of the extra packages a root with these packages has, as "name version". It is an error of
// ErrSetting when there are none, or when the root has another version of one: then the packages that somebody wants to
// see tested are not what is tested.
func (e *Extra) Used(installed map[string]string) ([]string, error) {
	if e == nil || len(e.versions) == 0 {
		return nil, nil
	}
	var used, other []string
	for _, name := range slices.Sorted(maps.Keys(e.versions)) {
		version, ok := installed[name]
		switch {
		case !ok:
		case slices.Contains(e.versions[name], version):
			used = append(used, name+" "+version)
		default:
			other = append(other, fmt.Sprintf("%s is %s, not %s", name, version, strings.Join(e.versions[name], " or ")))
		}
	}
	var err error
	switch {
	case len(other) > 0:
		err = errors.New("the root has other versions: " + strings.Join(other, "; "))
	case len(used) == 0:
		err = fmt.Errorf("none of its packages is in the root, which holds what the cloud's services need: %s", some(slices.Sorted(maps.Keys(e.versions))))
	default:
		return used, nil
	}
	return used, setting(fmt.Errorf("%s: %w", e.from.Setting, err))
}

// some is a list of names that people still want to read.
func some(names []string) string {
	const enough = 10
	if len(names) > enough {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:enough], ", "), len(names)-enough)
	}
	return strings.Join(names, ", ")
}
