package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Side is one of the two releases of an upgrade.
type Side string

// The two sides, as the field calls them.
const (
	Base   Side = "base"
	Target Side = "target"
)

// Release is one OpenStack release; those that a Debian suite carries have all of it.
type Release struct {
	Branch   string // "stable/zed": what scripts see, prefix as the user gave it
	Name     string // "zed", "2025.1": how from-<name> directories call it
	Number   string // "2022.2", "2025.1": year.half
	Codename string // "zed", "epoxy"
	Suite    string // the Debian suite whose packages are this release
	SLURP    bool   // upstream supports going straight from one SLURP release to the next
}

// Releases lists the releases we know, oldest first.
//
// Sources: releases.openstack.org for names, numbers and SLURP marks; the
// Debian archive for which suite carries which.
func Releases() []Release {
	return []Release{
		{Branch: "stable/zed", Name: "zed", Number: "2022.2", Codename: "zed", Suite: "bookworm"},
		{Branch: "stable/2025.1", Name: "2025.1", Number: "2025.1", Codename: "epoxy", Suite: "trixie", SLURP: true},
		{Branch: "stable/2026.1", Name: "2026.1", Number: "2026.1", Codename: "gazpacho", Suite: "forky", SLURP: true},
	}
}

// FindRelease resolves a branch: stable/X, unmaintained/X or just X, where X is
// the release's name, number or code name. The result's Branch keeps the
// prefix that was given and ends in the release's Name.
func FindRelease(branch string) (Release, error) {
	prefix, word, found := strings.Cut(branch, "/")
	if !found {
		prefix, word = "stable", branch
	}
	if prefix == "stable" || prefix == "unmaintained" {
		for _, r := range Releases() {
			if word == r.Name || word == r.Number || word == r.Codename {
				r.Branch = prefix + "/" + r.Name
				return r, nil
			}
		}
	}
	return Release{}, fmt.Errorf("unknown release %q; known are %s", branch, knownBranches())
}

// branchOf is what a branch, a tag or a ref of DevStack's repository says of its release, any there may be. Names that are
// no release's, such as a change under review, are Master, as upstream has it.
func branchOf(branch string) (Release, error) {
	if !refName().MatchString(branch) || strings.Contains(branch, "..") {
		return Release{}, fmt.Errorf("must be a branch like stable/2025.1, not %q", branch)
	}
	if found, err := FindRelease(branch); err == nil {
		return found, nil
	}
	name := ReleaseOf(branch)
	r := Release{Branch: branch, Name: name, Number: name}
	if number, known := numberOf(name); known {
		r.Number = number
		// Since 2023.1 every first release of a year is one.
		r.SLURP = strings.HasSuffix(number, ".1") && number >= "2023.1"
	}
	return r, nil
}

// refName are the names of refs that need no quoting anywhere (git-check-ref-format(1) allows more).
func refName() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/+-]*$`) }

// numberOf is a release's year.half, for its name in branches.
func numberOf(name string) (string, bool) {
	ordinal, known := Ordinal(name)
	if !known {
		return "", false
	}
	return fmt.Sprintf("%d.%d", (ordinal-1)/2, 2-ordinal%2), true
}

func knownBranches() string {
	var known []string
	for _, r := range Releases() {
		alias := r.Codename
		if alias == r.Name {
			alias = r.Number
		}
		known = append(known, fmt.Sprintf("%s (%s)", r.Branch, alias))
	}
	return strings.Join(known, ", ")
}

// ordinal counts releases: OpenStack makes two a year, numbered year.1 and
// year.2 (the numbers hold for zed and before in retrospect). Master is the one
// that comes after the newest branch.
func (r Release) ordinal() int {
	if r.Name == Master {
		return unreleased
	}
	year, half, _ := strings.Cut(r.Number, ".")
	y, _ := strconv.Atoi(year)
	h, _ := strconv.Atoi(half)
	return 2*y + h
}

// unreleased is the ordinal of what has no number: later than any that has.
const unreleased = 1 << 20

// Distance is how many releases target is after base; negative when it is older.
func Distance(base, target Release) int { return target.ordinal() - base.ordinal() }

// SkipsReleases tells whether the upgrade is longer than upstream supports:
// more than one release, unless it goes from one SLURP release to the next.
// Nova then needs its skip-release workaround
// ([workarounds] disable_compute_service_check_for_ffu).
//
// Source: OpenStack TC resolution "Release Cadence Adjustment" (2022-02-10).
func SkipsReleases(base, target Release) bool {
	d := Distance(base, target)
	// How far master is away from a release nobody can tell by its name.
	return d > 1 && target.Name != Master && !(d == 2 && base.SLURP && target.SLURP)
}
