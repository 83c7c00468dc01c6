// Package localconf is the room of DevStack's local.conf: a localrc, which is
// shell, and parts of other configuration files, each below a heading like
// [[post-config|$NOVA_CONF]] (DevStack documentation, "Configuration",
// "local.conf").
//
// It composes the file of a tree as upstream Grenade does with the tool dsconf,
// and keeps what that loses: options whose names hold more than letters, digits
// and _, options with several values, and the last line of a file that has no
// line end.
package localconf

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Localrc is the heading of the part that DevStack sources.
const Localrc = "[[local|localrc]]"

// Conf is the content of one local.conf.
type Conf struct {
	// lines are without line ends.
	lines []string
}

// Parse reads the text of a local.conf. Nothing is an error in it: what stands
// before the first heading, or is neither an option nor a heading, is kept
// where it is; Misread says what DevStack would take for something else.
func Parse(text string) *Conf {
	text = strings.TrimSuffix(text, "\n")
	if text == "" {
		return &Conf{}
	}
	return &Conf{lines: strings.Split(text, "\n")}
}

// FromLocalrc makes a local.conf of a localrc.
func FromLocalrc(text string) *Conf {
	return Parse(Localrc + "\n" + text)
}

// String is the text of the file.
func (c *Conf) String() string {
	if len(c.lines) == 0 {
		return ""
	}
	return strings.Join(c.lines, "\n") + "\n"
}

// Section returns the lines below all headings [[group|file]], as DevStack
// reads them.
func (c *Conf) Section(group, file string) string {
	var text strings.Builder
	inside := false
	for _, line := range c.lines {
		if looksLikeHeading.MatchString(line) {
			inside = headingOf(line) == heading{group, file}
			continue
		}
		if inside {
			text.WriteString(line + "\n")
		}
	}
	return text.String()
}

// shell is the text with every line left empty that is not localrc.
func (c *Conf) shell() string {
	lines := make([]string, len(c.lines))
	inside := false
	for i, line := range c.lines {
		switch {
		case looksLikeHeading.MatchString(line):
			inside = isLocalrc(line)
		case inside:
			lines[i] = line
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// Misread is a line that DevStack takes for a heading, although it is none: it
// drops what follows up to the next heading.
type Misread struct {
	// Line counts from 1.
	Line int
	Text string
}

// Error is one sentence.
func (m *Misread) Error() string {
	return fmt.Sprintf("DevStack takes %q for the heading of a part and drops what follows it; indent a test of the shell, or write it with 'test'",
		strings.TrimSpace(m.Text))
}

// Misread returns the first such line, nil when there is none.
func (c *Conf) Misread() *Misread {
	for i, line := range c.lines {
		if looksLikeHeading.MatchString(line) && headingOf(line) == (heading{}) {
			return &Misread{Line: i + 1, Text: line}
		}
	}
	return nil
}

// AddLocalrc puts text, which may hold parts of its own, behind the last line of
// the first localrc part, and makes that part when there is none. Blanks at its
// end go.
func (c *Conf) AddLocalrc(text string) {
	added := strings.Split(strings.TrimRight(text, " \t\r\n\v\f"), "\n")
	start := slices.IndexFunc(c.lines, isLocalrc)
	if start < 0 {
		// Before all other parts, but behind what stands above the first of them.
		at := c.nextHeading(0)
		c.lines = slices.Insert(c.lines, at, append([]string{Localrc}, added...)...)
		return
	}
	c.lines = slices.Insert(c.lines, c.nextHeading(start+1), added...)
}

// Merge puts another local.conf over this one. Its localrc is added line by line
// behind ours, so that where both assign a variable the other's value stands.
// An option of another part replaces ours of the same name where that stands;
// new ones go to the end of their section. Comments of other parts are left out.
func (c *Conf) Merge(other *Conf) {
	for _, part := range other.parts() {
		if part.heading.group == "local" {
			for _, line := range part.lines {
				c.AddLocalrc(line)
			}
			continue
		}
		for _, option := range optionsOf(part.lines) {
			c.set(part.heading, option)
		}
	}
}

// heading is [[group|file]].
type heading struct{ group, file string }

func (h heading) String() string { return "[[" + h.group + "|" + h.file + "]]" }

var (
	// looksLikeHeading is what DevStack goes by (inc/meta-config), wellFormed
	// what it then understands: it looks at the first word only.
	looksLikeHeading = regexp.MustCompile(`^\[\[.+\|.*\]\]`)
	wellFormed       = regexp.MustCompile(`^\[\[([^][|\s]+)\|([^][|\s]+)\]\](?:\s|$)`)
	sectionLine      = regexp.MustCompile(`^\[([^][]+)\]`)
)

// headingOf is the zero heading for a line that is none.
func headingOf(line string) heading {
	match := wellFormed.FindStringSubmatch(line)
	if match == nil {
		return heading{}
	}
	return heading{match[1], match[2]}
}

func isLocalrc(line string) bool { return headingOf(line) == heading{"local", "localrc"} }

// nextHeading is the index of the first heading at or behind from, or the end.
func (c *Conf) nextHeading(from int) int {
	for i := from; i < len(c.lines); i++ {
		if looksLikeHeading.MatchString(c.lines[i]) {
			return i
		}
	}
	return len(c.lines)
}

// part is what stands below one heading; parts of the same heading are one.
type part struct {
	heading heading
	lines   []string
}

// parts returns the parts in the order of their first headings.
func (c *Conf) parts() []*part {
	var all []*part
	var current *part
	for _, line := range c.lines {
		if looksLikeHeading.MatchString(line) {
			current = nil
			if found := headingOf(line); found != (heading{}) {
				current = partOf(&all, found)
			}
			continue
		}
		if current != nil {
			current.lines = append(current.lines, line)
		}
	}
	return all
}

func partOf(all *[]*part, wanted heading) *part {
	for _, known := range *all {
		if known.heading == wanted {
			return known
		}
	}
	made := &part{heading: wanted}
	*all = append(*all, made)
	return made
}

// option is one name of one section, with all its values.
type option struct {
	// section is "" above the first section.
	section, name string
	values        []string
}

func (o option) lines() []string {
	lines := make([]string, len(o.values))
	for i, value := range o.values {
		lines[i] = o.name + " = " + value
	}
	return lines
}

// optionsOf reads an ini file's options, in the order of their first lines.
func optionsOf(lines []string) []*option {
	var all []*option
	section := ""
	for _, line := range lines {
		if match := sectionLine.FindStringSubmatch(line); match != nil {
			section = match[1]
			continue
		}
		name, value, ok := assignment(line)
		if !ok {
			continue
		}
		i := slices.IndexFunc(all, func(o *option) bool { return o.section == section && o.name == name })
		if i < 0 {
			i = len(all)
			all = append(all, &option{section: section, name: name})
		}
		all[i].values = append(all[i].values, value)
	}
	return all
}

// assignment takes "name = value" apart. DevStack passes over indented lines.
func assignment(line string) (name, value string, ok bool) {
	if line == "" || strings.ContainsAny(line[:1], " \t#;[") {
		return "", "", false
	}
	name, value, ok = strings.Cut(line, "=")
	name = strings.TrimRight(name, " \t")
	return name, strings.TrimLeft(value, " \t"), ok && name != ""
}

// set gives the option of a part its values: in place of its old lines, else at
// the end of its section, else in a new section at the end of the part, else in
// a new part at the end.
func (c *Conf) set(to heading, wanted *option) {
	place := c.find(to, wanted)
	for _, old := range slices.Backward(place.old) {
		c.lines = slices.Delete(c.lines, old, old+1)
	}
	lines := wanted.lines()
	switch {
	case len(place.old) > 0:
		c.lines = slices.Insert(c.lines, place.old[0], lines...)
	case place.section >= 0:
		c.lines = slices.Insert(c.lines, place.section, lines...)
	case place.part >= 0:
		c.lines = slices.Insert(c.lines, place.part, append([]string{"[" + wanted.section + "]"}, lines...)...)
	case wanted.section == "":
		c.lines = append(append(c.lines, to.String()), lines...)
	default:
		c.lines = append(append(c.lines, to.String(), "["+wanted.section+"]"), lines...)
	}
}

// place is where an option is, or would go: indices of lines, -1 for none.
type place struct {
	// old are the lines of the option.
	old []int
	// section is the end of the first section of its name, part that of the
	// first part.
	section, part int
}

func (c *Conf) find(in heading, wanted *option) place {
	found := place{section: -1, part: -1}
	inPart, inSection := false, false
	endSection := func(at int) {
		if inPart && inSection && found.section < 0 {
			found.section = at
		}
	}
	for i, line := range c.lines {
		if looksLikeHeading.MatchString(line) {
			endSection(i)
			if inPart && found.part < 0 {
				found.part = i
			}
			inPart = headingOf(line) == in
			inSection = wanted.section == ""
			continue
		}
		if match := sectionLine.FindStringSubmatch(line); match != nil {
			endSection(i)
			inSection = match[1] == wanted.section
			continue
		}
		if name, _, ok := assignment(line); ok && inPart && inSection && name == wanted.name {
			found.old = append(found.old, i)
		}
	}
	endSection(len(c.lines))
	if inPart && found.part < 0 {
		found.part = len(c.lines)
	}
	return found
}
