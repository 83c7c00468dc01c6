package resources

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// iniFile is a store file in memory: its lines, kept as they are, so that a
// writer changes only what it was asked to change. The shell side (plugins/shell)
// reads and writes the same form:
//
//	[section]
//	key = value
//
// Only "\n" ends a line. A value stands verbatim unless it has a newline, a
// carriage return or a tab, has a blank at either end, or starts with `$'` or
// `"`: then it is $'…' with the four escapes \\ \n \r \t and all else raw.
type iniFile struct {
	lines []string
}

func parseINI(content []byte) *iniFile {
	if len(content) == 0 {
		return &iniFile{}
	}
	content = bytes.TrimSuffix(content, []byte("\n"))
	return &iniFile{lines: strings.Split(string(content), "\n")}
}

func (f *iniFile) bytes() []byte {
	if len(f.lines) == 0 {
		return nil
	}
	return []byte(strings.Join(f.lines, "\n") + "\n")
}

// header returns the section that a line opens.
func header(line string) (string, bool) {
	if len(line) > 2 && line[0] == '[' && line[len(line)-1] == ']' {
		return line[1 : len(line)-1], true
	}
	return "", false
}

// entry splits a line "key = value" and returns the value still encoded.
func entry(line string) (key, value string, ok bool) {
	if _, isHeader := header(line); isHeader {
		return "", "", false
	}
	key, value, ok = strings.Cut(line, "=")
	return strings.Trim(key, blanks), strings.Trim(value, blanks), ok
}

const blanks = " \t"

// find returns the index of the key's line, or -1, and where a new line of that
// section belongs, or -1 when there is no such section. The first section and
// the first key of a name count, as in DevStack's iniget.
func (f *iniFile) find(section, key string) (line, insert int) {
	insert = -1
	inside := false
	for i, text := range f.lines {
		if name, ok := header(text); ok {
			if inside {
				return -1, insert
			}
			inside = name == section
			if inside {
				insert = i + 1
			}
			continue
		}
		if !inside {
			continue
		}
		if name, _, ok := entry(text); ok && name == key {
			return i, insert
		}
		if text != "" {
			insert = i + 1
		}
	}
	return -1, insert
}

func (f *iniFile) get(section, key string) (string, bool) {
	i, _ := f.find(section, key)
	if i < 0 {
		return "", false
	}
	_, value, _ := entry(f.lines[i])
	return decode(value), true
}

func (f *iniFile) set(section, key, value string) {
	line := key + " = " + encode(value)
	at, insert := f.find(section, key)
	switch {
	case at >= 0:
		f.lines[at] = line
	case insert >= 0:
		f.lines = append(f.lines[:insert], append([]string{line}, f.lines[insert:]...)...)
	default:
		f.lines = append(f.lines, "["+section+"]", line)
	}
}

// unset removes the key's line.
func (f *iniFile) unset(section, key string) {
	if at, _ := f.find(section, key); at >= 0 {
		f.lines = append(f.lines[:at], f.lines[at+1:]...)
	}
}

// savedLine is how a file of the store begins: how many lines of the log it has.
const savedLine = "# saved: "

// takeSaved takes that line off, and returns its number; 0 when there is none.
func (f *iniFile) takeSaved() int {
	if len(f.lines) == 0 {
		return 0
	}
	digits, ok := strings.CutPrefix(f.lines[0], savedLine)
	if !ok || len(digits) == 0 || len(digits) > 9 || strings.Trim(digits, "0123456789") != "" {
		return 0
	}
	f.lines = f.lines[1:]
	number, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return number
}

// bytesSaved is the file with that line.
func (f *iniFile) bytesSaved(number int) []byte {
	return append([]byte(savedLine+strconv.Itoa(number)+"\n"), f.bytes()...)
}

// section returns all keys and values of a section.
func (f *iniFile) section(name string) map[string]string {
	values := map[string]string{}
	inside := false
	for _, text := range f.lines {
		if section, ok := header(text); ok {
			if inside {
				break
			}
			inside = section == name
			continue
		}
		if key, value, ok := entry(text); inside && ok {
			if _, seen := values[key]; !seen {
				values[key] = decode(value)
			}
		}
	}
	return values
}

func plain(value string) bool {
	return !strings.ContainsAny(value, "\n\r\t") &&
		strings.Trim(value, blanks) == value &&
		!strings.HasPrefix(value, `$'`) &&
		!strings.HasPrefix(value, `"`)
}

func encode(value string) string {
	if plain(value) {
		return value
	}
	escaped := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(value)
	return "$'" + escaped + "'"
}

func decode(text string) string {
	if len(text) < 3 || !strings.HasPrefix(text, "$'") || !strings.HasSuffix(text, "'") {
		return text
	}
	return strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r", `\t`, "\t").Replace(text[2 : len(text)-1])
}

// checkName refuses what a section or key cannot hold and still come back.
func checkName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("store: empty %s", what)
	case strings.ContainsAny(name, "=]\n\r\x00"):
		return fmt.Errorf("store: %s %q holds one of = ] newline NUL", what, name)
	case strings.Trim(name, blanks) != name:
		return fmt.Errorf("store: %s %q begins or ends with a blank", what, name)
	case name[0] == '[':
		return fmt.Errorf("store: %s %q begins with [", what, name)
	}
	return nil
}
