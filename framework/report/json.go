package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// WriteJSON writes the report with its exit code; ReadJSON reads it back.
func (r Report) WriteJSON(w io.Writer) error {
	r = r.redacted()
	r.ExitCode, _ = ExitCode(r)
	r.Seconds = r.secondsByRow()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("writing the report as JSON: %w", err)
	}
	return put(w, b.Bytes(), "JSON")
}

// ReadJSON reads what WriteJSON wrote.
func ReadJSON(reader io.Reader) (Report, error) {
	var r Report
	if err := json.NewDecoder(reader).Decode(&r); err != nil {
		return Report{}, fmt.Errorf("reading a report: %w", err)
	}
	return r, nil
}
