package resources

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Version is the highest version or microversion that a service offers.
type Version struct{ Major, Minor int }

// String returns "3.14".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Less says whether v is below other.
func (v Version) Less(other Version) bool {
	return v.Major < other.Major || v.Major == other.Major && v.Minor < other.Minor
}

// ParseVersion reads "v3.14", "3.14" or "v2".
func ParseVersion(text string) (Version, error) {
	major, minor, hasMinor := strings.Cut(strings.TrimPrefix(strings.TrimSpace(text), "v"), ".")
	var v Version
	var err error
	if v.Major, err = strconv.Atoi(major); err != nil {
		return v, fmt.Errorf("version %q: %w", text, err)
	}
	if hasMinor {
		if v.Minor, err = strconv.Atoi(minor); err != nil {
			return v, fmt.Errorf("version %q: %w", text, err)
		}
	}
	return v, nil
}

type versionEntry struct {
	ID         string `json:"id"`
	Version    string `json:"version"`
	MaxVersion string `json:"max_version"`
}

// MaximumVersion asks a service's version document (no login needed) for the
// highest version in it. Microversions count above version ids: placement says
// id v1.0 and max_version 1.39. The four forms of the document are those that
// services use: {"version": {…}}, {"versions": […]}, {"versions": {"values": […]}},
// and a bare entry.
func (c Cloud) MaximumVersion(ctx context.Context, url string) (Version, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Version{}, fmt.Errorf("version document %s: %w", url, err)
	}
	request.Header.Set("Accept", "application/json")
	client := c.http()
	answer, err := client.Do(request)
	if err != nil {
		return Version{}, fmt.Errorf("version document: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return Version{}, fmt.Errorf("version document %s: %w", url, err)
	}
	// glance answers 300 Multiple Choices at its root.
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusMultipleChoices {
		return Version{}, fmt.Errorf("version document %s: HTTP %s", url, answer.Status)
	}
	entries, err := versionEntries(body)
	if err != nil {
		return Version{}, fmt.Errorf("version document %s: %w", url, err)
	}
	var highest Version
	for _, entry := range entries {
		for _, text := range []string{entry.ID, entry.Version, entry.MaxVersion} {
			if text == "" {
				continue
			}
			v, err := ParseVersion(text)
			if err != nil {
				return Version{}, fmt.Errorf("version document %s: %w", url, err)
			}
			if highest.Less(v) {
				highest = v
			}
		}
	}
	if highest == (Version{}) {
		return highest, fmt.Errorf("version document %s names no version", url)
	}
	return highest, nil
}

func versionEntries(body []byte) ([]versionEntry, error) {
	var envelope struct {
		// An object in keystone's document, a string in a bare entry.
		One  json.RawMessage `json:"version"`
		Many json.RawMessage `json:"versions"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	one, many := body, envelope.Many
	if bytes.HasPrefix(bytes.TrimSpace(envelope.One), []byte("{")) {
		one = envelope.One
	}
	if many == nil {
		var entry versionEntry
		if err := json.Unmarshal(one, &entry); err != nil {
			return nil, fmt.Errorf("read JSON: %w", err)
		}
		return []versionEntry{entry}, nil
	}
	var values struct {
		Values json.RawMessage `json:"values"`
	}
	if json.Unmarshal(many, &values) == nil {
		many = values.Values
	}
	var list []versionEntry
	if err := json.Unmarshal(many, &list); err != nil {
		return nil, fmt.Errorf("read JSON: versions: %w", err)
	}
	return list, nil
}

const versionKey = "maximum_version"

// RecordVersion saves a service's maximum version.
func (m *Memory) RecordVersion(ctx context.Context, cloud Cloud, url string) error {
	v, err := cloud.MaximumVersion(ctx, url)
	if err != nil {
		return err
	}
	return m.Save(ctx, map[string]string{versionKey: v.String()})
}

// CompareVersion fails when the maximum version fell, and before the upgrade
// also when it rose: nothing was to change yet.
func (m *Memory) CompareVersion(ctx context.Context, cloud Cloud, url string, stage Stage) error {
	text, err := m.Get(versionKey)
	if err != nil {
		return err
	}
	saved, err := ParseVersion(text)
	if err != nil {
		return err
	}
	seen, err := cloud.MaximumVersion(ctx, url)
	if err != nil {
		return err
	}
	if seen.Less(saved) || stage == PreUpgrade && seen != saved {
		want := saved.String()
		if stage == PostUpgrade {
			want += " or higher"
		}
		return &Difference{Subject: m.Section + ", " + string(stage), Changes: []Change{{Attribute: "maximum API version", Saved: want, Seen: seen.String()}}}
	}
	return nil
}
