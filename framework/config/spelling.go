package config

import (
	"fmt"
	"slices"
	"strings"
)

// upstreamNames are variables that upstream Grenade and DevStack know and that
// stand close to one of our settings without being meant for it.
func upstreamNames() []string {
	return []string{
		"BASE_DEVSTACK_DIR", "BASE_DEVSTACK_REPO", "BASE_RELEASE", "BASE_RELEASE_DIR", "DATA_DIR", "RUN_SMOKE",
		"TARGET_DEVSTACK_DIR", "TARGET_DEVSTACK_REPO", "TARGET_RELEASE", "TARGET_RELEASE_DIR", "TOP_DIR",
	}
}

// misspelt returns the setting that a variable's name is probably meant to be,
// or "". Short names have many honest neighbours, so they get one edit only.
func misspelt(name string) string {
	if slices.Contains(upstreamNames(), name) || slices.Contains(internalNames(), name) {
		return ""
	}
	best, nearest := 3, ""
	for _, s := range table() {
		if s.name == name {
			return ""
		}
		if strings.EqualFold(s.name, name) {
			return s.name
		}
		allowed := 2
		if len(s.name) <= 8 {
			allowed = 1
		}
		if d := distance(name, s.name); d <= allowed && d < best {
			best, nearest = d, s.name
		}
	}
	return nearest
}

// suspects are names in the environment that look meant for us. The
// environment belongs to everybody, so they are worth a warning only.
func suspects(environ []string) []string {
	var warnings []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "GRENADE_") || slices.Contains(internalNames(), name) || isSetting(name) {
			continue
		}
		text := fmt.Sprintf("environment: %s is not a setting and has no effect", name)
		if meant := misspelt(name); meant != "" {
			text += fmt.Sprintf("; did you mean %s?", meant)
		}
		warnings = append(warnings, text)
	}
	return warnings
}

func isSetting(name string) bool {
	return slices.ContainsFunc(table(), func(s setting) bool { return s.name == name })
}

// distance counts the edits between two words: a letter more, less or another,
// or two neighbours swapped (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
