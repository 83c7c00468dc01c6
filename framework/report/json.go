package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
)

// WriteJSON writes the report with its exit code; ReadJSON reads it back. What there is
// of rows comes last, one by one and each in a line, so that no text is made of all of
// them: a run writes its report again and again. "seconds" is where the time went, for
// people and short programs: phase → project → seconds of its row. Rows of a phase
// that only reads run side by side.
func (r Report) WriteJSON(w io.Writer) error {
	r.ExitCode, _ = ExitCode(r)
	r = r.redacted()
	head := newEncoding("  ")
	text, err := head.of(r)
	if err != nil {
		return err
	}
	out := newSink(w)
	out.put(string(bytes.TrimSuffix(text, []byte("\n}"))))
	if err := r.writeSeconds(out); err != nil {
		return err
	}
	if err := writeList(out, "rows", r.Rows); err != nil {
		return err
	}
	if err := writeList(out, "timings", r.Timings); err != nil {
		return err
	}
	out.put("\n}\n")
	return out.done("JSON")
}

// writeList writes one more member of the object. A list without items is left out.
func writeList[T any](out sink, name string, items iter.Seq[T]) error {
	before, end := fmt.Sprintf(",\n  %q: [", name), ""
	line := newEncoding("")
	for item := range orNone(items) {
		text, err := line.of(item)
		if err != nil {
			return err
		}
		out.putf("%s\n    %s", before, text)
		before, end = ",", "\n  ]"
	}
	out.put(end)
	return nil
}

// writeSeconds writes where the time went, a phase in a line.
func (r Report) writeSeconds(out sink) error {
	before, end := ",\n  \"seconds\": {", ""
	line := newEncoding("")
	for _, phase := range distinct(r.withSetup(), phaseOf) {
		spent := map[string]float64{}
		for row := range of(r.withSetup(), phase) {
			if row.Duration != 0 {
				spent[row.Project] = math.Round(row.Duration.Seconds()*10) / 10
			}
		}
		if len(spent) == 0 {
			continue
		}
		text, err := line.of(map[string]map[string]float64{phase: spent})
		if err != nil {
			return err
		}
		out.putf("%s\n    %s", before, text[1:len(text)-1])
		before, end = ",", "\n  }"
	}
	out.put(end)
	return nil
}

// encoding makes JSON for people: < is <.
type encoding struct {
	text    bytes.Buffer
	encoder *json.Encoder
}

// newEncoding indents by so much; by nothing, all is in one line.
func newEncoding(indent string) *encoding {
	e := &encoding{}
	e.encoder = json.NewEncoder(&e.text)
	e.encoder.SetIndent("", indent)
	e.encoder.SetEscapeHTML(false)
	return e
}

// of is the value as JSON, until the next one.
func (e *encoding) of(value any) ([]byte, error) {
	e.text.Reset()
	if err := e.encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("writing the report as JSON: %w", err)
	}
	return bytes.TrimSuffix(e.text.Bytes(), []byte("\n")), nil
}

// ReadJSON reads what WriteJSON wrote.
func ReadJSON(reader io.Reader) (Report, error) {
	var written struct {
		Report
		Rows    []Row    `json:"rows"`
		Timings []Timing `json:"timings"`
	}
	if err := json.NewDecoder(reader).Decode(&written); err != nil {
		return Report{}, fmt.Errorf("reading a report: %w", err)
	}
	written.Report.Rows, written.Report.Timings = slices.Values(written.Rows), slices.Values(written.Timings)
	return written.Report, nil
}
