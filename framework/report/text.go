package report

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// seconds shows a duration as people read it: 0.4s, 12.3s, 2m05s, 1h02m.
func seconds(d time.Duration) string {
	switch {
	case d < 0:
		return "0.0s"
	case d < 99950*time.Millisecond:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	default:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
}

// plain makes one line that no terminal misreads: blanks are squeezed, control
// characters and broken UTF-8 shown, and what is longer than limit runes cut.
func plain(text string, limit int) string {
	return cut(visible(strings.Join(strings.Fields(text), " ")), limit)
}

// visible is a line of output as it can be shown: without colours, tabs kept.
func visible(line string) string {
	line = withoutColours(strings.ToValidUTF8(line, "�"))
	var b strings.Builder
	for _, r := range line {
		if r != '\t' && unicode.IsControl(r) {
			fmt.Fprintf(&b, `\x%02x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func cut(text string, limit int) string {
	if limit <= 0 || utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}

// withoutColours removes terminal escapes of the form ESC [ … letter.
func withoutColours(text string) string {
	if !strings.Contains(text, "\x1b[") {
		return text
	}
	var b strings.Builder
	for {
		start := strings.Index(text, "\x1b[")
		if start < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:start])
		rest := text[start+2:]
		end := strings.IndexFunc(rest, func(r rune) bool { return r < 0x20 || r > 0x3f })
		if end < 0 {
			return b.String()
		}
		if rest[end] < 0x40 || rest[end] > 0x7e { // not an escape after all
			b.WriteString("[")
			text = rest
			continue
		}
		text = rest[end+1:]
	}
}
