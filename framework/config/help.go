package config

import (
	"fmt"
	"strings"
)

// Help is the settings' table for a terminal.
func Help() string {
	var b strings.Builder
	b.WriteString("Settings (environment over localrc over these defaults):\n\n")
	for _, s := range Settings() {
		fmt.Fprintf(&b, "  %s=%s\n      %s\n", s.Name, s.Default, s.Help)
	}
	b.WriteString("\nReleases:\n\n")
	for _, r := range Releases() {
		fmt.Fprintf(&b, "  %-14s %s %s, Debian %s\n", r.Branch, r.Codename, r.Number, r.Suite)
	}
	return b.String()
}

// Markdown is the settings' table for the README.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| setting | default | meaning |\n| --- | --- | --- |\n")
	for _, s := range Settings() {
		value := "–"
		if s.Default != "" {
			value = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.Name, value, strings.ReplaceAll(s.Help, "|", `\|`))
	}
	return b.String()
}

// ReleasesMarkdown is the table of releases for the README.
func ReleasesMarkdown() string {
	var b strings.Builder
	b.WriteString("| branch | release | number | Debian suite | SLURP |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range Releases() {
		slurp := "no"
		if r.SLURP {
			slurp = "yes"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", r.Branch, r.Codename, r.Number, r.Suite, slurp)
	}
	return b.String()
}
