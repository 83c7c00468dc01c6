package log

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
	"time"
	"unicode"

	"github.com/sirupsen/logrus"
)

// nothing is the logger's own formatter: the hook has written already.
type nothing struct{}

// Format gives nothing, so nothing is written a second time.
func (nothing) Format(*logrus.Entry) ([]byte, error) { return nil, nil }

func now() time.Time { return time.Now() }

func newJSONFormatter() *logrus.JSONFormatter {
	return &logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano, DisableHTMLEscape: true}
}

// consoleLine is: time, level, phase/project, message, fields.
//
//	15:04:05 INFO  upgrade/glance  glance-api answers  port=9292
func consoleLine(entry *logrus.Entry) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %-5s ", entry.Time.Format(time.TimeOnly), level(entry.Level))
	if place := placeOf(entry.Data); place != "" {
		fmt.Fprintf(&b, "%s  ", printable(place))
	}
	b.WriteString(printable(strings.TrimRight(entry.Message, "\n")))
	var keys []string
	for k := range entry.Data {
		if k != FieldRun && k != FieldPhase && k != FieldProject {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	for i, k := range keys {
		if i == 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, " %s=%s", k, printable(fmt.Sprint(entry.Data[k])))
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func level(l logrus.Level) string {
	if l == logrus.WarnLevel {
		return "WARN"
	}
	return strings.ToUpper(l.String())
}

func placeOf(data logrus.Fields) string {
	phase, _ := data[FieldPhase].(string)
	project, _ := data[FieldProject].(string)
	return strings.Trim(phase+"/"+project, "/")
}

// printable keeps a terminal safe from what programs print: control characters
// are shown as such, further lines are indented so that they do not look like
// entries.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n':
			b.WriteString("\n         ")
		case r == '\t' || !unicode.IsControl(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\x%02x`, r)
		}
	}
	return b.String()
}
