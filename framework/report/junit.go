package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
	"unicode/utf8"
)

// outputLimit is how much of a script's output goes into junit.xml: its end,
// where it failed.
const outputLimit = 64 << 10

// WriteJUnit writes the report as JUnit XML: class name grenade.<phase>, name
// <project>. Outputs are read from the rows' logs below resultsDir; one that
// cannot be read is said so in its place and is no error.
func (r Report) WriteJUnit(w io.Writer, resultsDir string) error {
	r = r.redacted()
	n, cases := r.Counts(), 0
	for row := range r.cases() {
		cases += 1 + len(row.Tests)
		for _, test := range row.Tests {
			n[test.Outcome]++
		}
	}
	counts := fmt.Sprintf(`tests="%d" failures="%d" errors="0" skipped="%d" time="%s"`,
		cases, n[Failed], n[NotChecked]+n[Blocked]+n[NotRun], decimal(r.elapsed()))

	b := newSink(w)
	b.put(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	b.putf("<testsuites name=\"grenade\" %s>\n", counts)
	b.putf("  <testsuite name=\"grenade\" %s timestamp=\"%s\">\n", counts, r.Started.UTC().Format("2006-01-02T15:04:05"))
	b.put("    <properties>\n")
	for _, p := range r.properties() {
		b.putf("      <property name=\"%s\" value=\"%s\"/>\n", xmlAttribute(p[0]), xmlAttribute(p[1]))
	}
	b.put("    </properties>\n")
	for row := range r.cases() {
		writeCase(b, row, r.output(row, resultsDir))
		for _, test := range row.Tests {
			writeCase(b, test.row(row), "")
		}
	}
	b.put("  </testsuite>\n</testsuites>\n")
	return b.done("JUnit XML")
}

// cases goes through the rows, before them the setup if it failed.
func (r Report) cases() iter.Seq[Row] {
	if r.setupFailed() {
		return r.withSetup()
	}
	return r.EachRow()
}

// properties are name and value, in a fixed order.
func (r Report) properties() [][2]string {
	code, reason := ExitCode(r)
	all := [][2]string{{"run", r.RunID}, {"verdict", Verdict(code)}, {"exit_code", fmt.Sprint(code)}, {"reason", reason}}
	for _, s := range []struct {
		name string
		side Side
	}{{"base", r.Base}, {"target", r.Target}} {
		all = append(all, [2]string{s.name + ".release", s.side.Release}, [2]string{s.name + ".branch", s.side.Branch},
			[2]string{s.name + ".suite", s.side.Suite})
		for _, name := range sorted(s.side.Packages) {
			all = append(all, [2]string{s.name + ".package." + name, s.side.Packages[name]})
		}
	}
	for _, p := range r.Plugins {
		all = append(all, [2]string{"plugin." + p.Name, p.Version()}, [2]string{"plugin." + p.Name + ".url", p.URL}, [2]string{"plugin." + p.Name + ".ref", p.Ref})
	}
	if proven, units := r.proof(); units > 0 {
		all = append(all, [2]string{"proof_of_upgrade", fmt.Sprintf("%d of %d units", proven, units)})
	}
	return all
}

func sorted(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func writeCase(b sink, row Row, output string) {
	b.putf("    <testcase classname=\"grenade.%s\" name=\"%s\" time=\"%s\"",
		xmlAttribute(strings.ReplaceAll(row.Phase, " ", "_")), xmlAttribute(row.Project), decimal(row.Duration))
	if row.Outcome == Passed && output == "" {
		b.put("/>\n")
		return
	}
	b.put(">\n")
	switch row.Outcome {
	case Passed:
	case Failed:
		f := row.failure()
		kind := "failure"
		if row.Consequence {
			kind = "consequence"
		}
		b.putf("      <failure type=\"%s\" message=\"%s\">%s</failure>\n",
			kind, xmlAttribute(headline(row)), xmlText(failureText(f, row.Log)))
	default:
		message := string(row.Outcome)
		if row.Reason != "" {
			message += ": " + row.Reason
		}
		b.putf("      <skipped message=\"%s\"/>\n", xmlAttribute(message))
	}
	if output != "" {
		b.putf("      <system-out>%s</system-out>\n", output)
	}
	b.put("    </testcase>\n")
}

// failure is never nil: a failed row without details still failed.
func (r Row) failure() Failure {
	if r.Failure == nil {
		return Failure{Message: r.Reason}
	}
	return *r.Failure
}

// headline is a failure in one sentence.
func headline(row Row) string {
	f := row.failure()
	text := f.Message
	switch {
	case text != "":
	case f.Expected != "" && f.Seen != "":
		text = "expected " + f.Expected + ", seen last " + f.Seen
	case f.Expected != "":
		text = "expected " + f.Expected
	case f.Seen != "":
		text = "seen last " + f.Seen
	default:
		text = "failed without a message"
	}
	if row.Consequence {
		return "consequence: " + text
	}
	return text
}

func failureText(f Failure, log string) string {
	var b strings.Builder
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	field("message", f.Message)
	field("expected", f.Expected)
	field("seen last", f.Seen)
	if len(f.Tail) > 0 {
		fmt.Fprintf(&b, "last %d lines:\n", len(f.Tail))
		for _, line := range f.Tail {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	if f.Log == "" {
		f.Log = log
	}
	field("full log", f.Log)
	return b.String()
}

// output is the end of the row's log as XML text.
func (r Report) output(row Row, resultsDir string) string {
	if row.Log == "" {
		return ""
	}
	if !filepath.IsLocal(row.Log) {
		return xmlText(fmt.Sprintf("[log %s is not in the results directory]\n", row.Log))
	}
	text, left, err := lastBytes(filepath.Join(resultsDir, row.Log), outputLimit)
	switch {
	case errors.Is(err, fs.ErrNotExist) && row.Outcome != Passed && row.Outcome != Failed:
		return "" // it did not run, so it wrote nothing
	case err != nil:
		return xmlText(fmt.Sprintf("[log %s cannot be read: %v]\n", row.Log, err))
	case left > 0:
		return xmlText(fmt.Sprintf("[the first %d bytes are left out; the whole output is in %s]\n", left, row.Log) + r.redact(string(text)))
	default:
		return xmlText(r.redact(string(text)))
	}
}

// lastBytes reads the end of a file and says how much is before it. The cut is
// moved forward to a whole line, or at least to a whole character.
//
//nolint:wrapcheck // the caller names the log, and the errors are of one step each
func lastBytes(path string, limit int64) (text []byte, left int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is no regular file", path)
	}
	left = max(0, info.Size()-limit)
	// A log that is still being written must not make this endless.
	text, err = io.ReadAll(io.NewSectionReader(file, left, limit))
	if err != nil || left == 0 {
		return text, left, err
	}
	skip := bytes.IndexByte(text, '\n') + 1
	for skip == 0 || (skip < len(text) && !utf8.RuneStart(text[skip])) {
		if skip++; skip >= len(text) || utf8.RuneStart(text[skip]) {
			break
		}
	}
	return text[skip:], left + int64(skip), nil
}

func decimal(d time.Duration) string { return fmt.Sprintf("%.3f", max(0, d.Seconds())) }

// xmlText is any bytes as XML 1.0 character data: what XML cannot hold becomes
// U+FFFD, colours go, line ends are \n.
func xmlText(text string) string {
	return xmlEscape(text, false)
}

// xmlAttribute is the same for an attribute in double quotes, in one line.
func xmlAttribute(text string) string {
	return xmlEscape(text, true)
}

func xmlEscape(text string, attribute bool) string {
	text = withoutColours(text)
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range text { // a broken byte comes as U+FFFD
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>': // ]]> must not appear in text
			b.WriteString("&gt;")
		case r == '"' && attribute:
			b.WriteString("&#34;")
		case r == '\n' && attribute:
			b.WriteString("&#10;")
		case r == '\t' && attribute:
			b.WriteString("&#9;")
		case r == '\t', r == '\n', r >= 0x20 && r <= 0xd7ff, r >= 0xe000 && r <= 0xfffd, r >= 0x10000 && r <= 0x10ffff:
			// XML 1.0, 5th edition, production 2 (Char).
			b.WriteRune(r)
		default:
			b.WriteRune(utf8.RuneError)
		}
	}
	return b.String()
}
