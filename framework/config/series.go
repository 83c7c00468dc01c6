package config

import (
	"regexp"
	"strconv"
	"strings"
)

// Master is what upstream calls the release of every branch that is not one of a
// release's.
const Master = "master"

// ReleaseOf is the name of the release that a branch belongs to, as from-<name>
// directories call it: stable/2025.1 and unmaintained/2025.1 are 2025.1, anything
// else is Master. DevStack's own function knows no unmaintained branches.
func ReleaseOf(branch string) string {
	for _, prefix := range []string{"stable/", "unmaintained/", "proposed/"} {
		if name, ok := strings.CutPrefix(branch, prefix); ok && name != "" {
			return name
		}
	}
	return Master
}

// numbered is a release's name since 2023.1: the year and its half.
var numbered = regexp.MustCompile(`^(20(?:2[3-9]|[3-9][0-9]))\.([12])$`)

// namedReleases are the names before, in their order, from 2012.1 to 2022.2
// (releases.openstack.org).
func namedReleases() []string {
	return strings.Fields("essex folsom grizzly havana icehouse juno kilo liberty mitaka newton ocata pike queens rocky stein train ussuri victoria wallaby xena yoga zed")
}

// firstNamed is the ordinal of essex, 2012.1.
const firstNamed = 2*2012 + 1

// Ordinal counts releases by their names: one is the successor of the other when
// it is higher by one. Master and names that no release has have none.
func Ordinal(name string) (ordinal int, known bool) {
	if match := numbered.FindStringSubmatch(name); match != nil {
		year, _ := strconv.Atoi(match[1]) // digits
		half, _ := strconv.Atoi(match[2])
		return 2*year + half, true
	}
	for i, named := range namedReleases() {
		if name == named {
			return firstNamed + i, true
		}
	}
	return 0, false
}

// ReleaseNames are all names that branches had or have, the oldest first, up to
// the newest release that we know.
func ReleaseNames() []string {
	names := namedReleases()
	newest := Releases()[len(Releases())-1]
	for ordinal := firstNamed + len(names); ordinal <= newest.ordinal(); ordinal++ {
		// The inverse of 2*year + half.
		names = append(names, strconv.Itoa((ordinal-1)/2)+"."+strconv.Itoa(2-ordinal%2))
	}
	return names
}

// NameOf finds the name that a release has in branches, given what else people
// call it: its code name (epoxy), or a number where there is a name (2022.2). It
// is empty when there is no such release.
func NameOf(called string) string {
	if _, known := Ordinal(called); known {
		return called
	}
	// Since 2023.1; code names are no branch's.
	for i, codename := range strings.Fields("antelope bobcat caracal dalmatian epoxy flamingo gazpacho hibiscus") {
		if strings.EqualFold(called, codename) {
			return strconv.Itoa(2023+i/2) + "." + strconv.Itoa(1+i%2)
		}
	}
	for i, named := range namedReleases() {
		number := strconv.Itoa(2012+i/2) + "." + strconv.Itoa(1+i%2)
		if strings.EqualFold(called, named) || called == number {
			return named
		}
	}
	return ""
}
