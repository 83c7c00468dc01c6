package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// WriteJSON writes the report with its exit code; ReadJSON reads it back. Rows and
// timings come last and one by one, so that no text is made of all of them: a run
// writes its report again and again.
func (r Report) WriteJSON(w io.Writer) error {
	r.ExitCode, _ = ExitCode(r)
	r.Seconds = r.secondsByRow()
	head := r
	head.Rows, head.Timings = nil, nil
	text, err := encode(head.redacted(), "")
	if err != nil {
		return err
	}
	out := newSink(w)
	out.put(text[:len(text)-len("\n}")])
	if err := writeList(out, "rows", r.Rows, func(row Row) Row { return row.Redacted(r.redact) }); err != nil {
		return err
	}
	if err := writeList(out, "timings", r.Timings, func(timing Timing) Timing { return timing.redacted(r.redact) }); err != nil {
		return err
	}
	out.put("\n}\n")
	return out.done("JSON")
}

// writeList writes one more member of an object as encode would. A list without
// items is left out.
func writeList[T any](out sink, name string, items []T, clean func(T) T) error {
	if len(items) == 0 {
		return nil
	}
	out.putf(",\n  %q: [", name)
	for i, item := range items {
		text, err := encode(clean(item), "    ")
		if err != nil {
			return err
		}
		if i > 0 {
			out.put(",")
		}
		out.put("\n    " + text)
	}
	out.put("\n  ]")
	return nil
}

// encode is a value as JSON for people: indented, and < as <. Its lines but the
// first begin with prefix.
func encode(value any, prefix string) (string, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent(prefix, "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", fmt.Errorf("writing the report as JSON: %w", err)
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// ReadJSON reads what WriteJSON wrote.
func ReadJSON(reader io.Reader) (Report, error) {
	var r Report
	if err := json.NewDecoder(reader).Decode(&r); err != nil {
		return Report{}, fmt.Errorf("reading a report: %w", err)
	}
	return r, nil
}
