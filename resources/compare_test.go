package resources

import (
	"context"
	"errors"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
)

// memoryOf has recorded one object that was this JSON.
func memoryOf(t *testing.T, saved string) *Memory {
	t.Helper()
	log := logrus.New()
	log.SetOutput(t.Output())
	m := &Memory{Store: &Store{Dir: t.TempDir()}, Section: "s", Log: logrus.NewEntry(log)}
	NewWithT(t).Expect(m.Record(t.Context(), []Object{fixed(t, saved)})).To(Succeed())
	return m
}

func fixed(t *testing.T, text string, tolerated ...Tolerated) Object {
	t.Helper()
	value, err := decodeJSON(text)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return Object{Name: "o", Fetch: func(context.Context) (any, error) { return value, nil }, Tolerated: tolerated}
}

func TestCompareNamesEveryAttributeThatIsNotAsSaved(t *testing.T) {
	for name, c := range map[string]struct {
		saved, seen string
		want        []string // of both stages
	}{
		"nothing changed":          {`{"a": 1, "b": [1, 2]}`, `{"b": [2, 1], "a": 1}`, nil},
		"same number":              {`{"a": 1.0, "b": 10}`, `{"a": 1, "b": 10}`, nil},
		"value":                    {`{"a": "x"}`, `{"a": "y"}`, []string{`o.a: "x" → "y"`}},
		"type":                     {`{"a": 1}`, `{"a": "1"}`, []string{`o.a: 1 → "1"`}},
		"large numbers":            {`{"a": 9007199254740993}`, `{"a": 9007199254740992}`, []string{`o.a: 9007199254740993 → 9007199254740992`}},
		"null is a value":          {`{"a": null}`, `{"a": ""}`, []string{`o.a: null → ""`}},
		"disappeared":              {`{"a": 1, "b": 2}`, `{"a": 1}`, []string{"o.b: 2 → (absent)"}},
		"null disappeared":         {`{"a": null}`, `{"b": 1}`, []string{"o.a: null → (absent)"}},
		"nested":                   {`{"a": {"b": {"c": 1}}}`, `{"a": {"b": {"c": 2}}}`, []string{"o.a.b.c: 1 → 2"}},
		"plain list":               {`{"tags": ["a", "b"]}`, `{"tags": ["a"]}`, []string{`o.tags: ["a","b"] → ["a"]`}},
		"list twice the same":      {`{"tags": ["a"]}`, `{"tags": ["a", "a"]}`, []string{`o.tags: ["a"] → ["a","a"]`}},
		"element changed":          {`[{"id": "1", "n": "x"}, {"id": "2", "n": "y"}]`, `[{"id": "2", "n": "z"}, {"id": "1", "n": "x"}]`, []string{`o[2].n: "y" → "z"`}},
		"element more, once named": {`{"l": [{"id": "1"}]}`, `{"l": [{"id": "1"}, {"id": "2", "n": "x"}]}`, []string{`o.l[]: ["1"] → ["1","2"]`}},
		"element less":             {`{"l": [{"id": "1"}, {"id": "2"}]}`, `{"l": [{"id": "1"}]}`, []string{`o.l[2].id: "2" → (absent)`, `o.l[]: ["1","2"] → ["1"]`}},
		"html is not escaped":      {`{"a": "<&>"}`, `{"a": ">"}`, []string{`o.a: "<&>" → ">"`}},
		"whole value":              {`["a"]`, `[]`, []string{`o: ["a"] → []`}},
		"empty object emptied":     {`{"a": {}}`, `{"a": 1}`, []string{`o.a: {} → 1`}},
	} {
		t.Run(name, func(t *testing.T) {
			m := memoryOf(t, c.saved)
			for _, stage := range []Stage{PreUpgrade, PostUpgrade} {
				err := m.Compare(t.Context(), stage, []Object{fixed(t, c.seen)})
				var got []string
				var difference *Difference
				if errors.As(err, &difference) {
					for _, change := range difference.Changes {
						if change.Saved != Absent {
							got = append(got, change.String())
						}
					}
				} else {
					NewWithT(t).Expect(err).NotTo(HaveOccurred())
				}
				NewWithT(t).Expect(got).To(Equal(c.want), string(stage))
			}
		})
	}
}

func TestWhatAppearsIsADifferenceBeforeTheUpgradeOnly(t *testing.T) {
	g := NewWithT(t)
	m := memoryOf(t, `{"a": 1, "options": {}}`)
	seen := fixed(t, `{"a": 1, "options": {"x": 2}, "new": "y"}`)
	var difference *Difference
	g.Expect(errors.As(m.Compare(t.Context(), PreUpgrade, []Object{seen}), &difference)).To(BeTrue())
	g.Expect(difference.Expected()).To(Equal("o.new: (absent)\no.options.x: (absent)"))
	g.Expect(difference.Seen()).To(Equal("o.new: \"y\"\no.options.x: 2"))
	g.Expect(m.Compare(t.Context(), PostUpgrade, []Object{seen})).To(Succeed())
}

func TestToleratedAttributesMayDifferAndNothingElse(t *testing.T) {
	g := NewWithT(t)
	m := memoryOf(t, `{"a": 1, "b": 2, "c": {"x": 1, "y": 2}}`)
	table := []Tolerated{{Attribute: "a", Reason: "test"}, {Attribute: "c.*", Reason: "test"}}
	g.Expect(m.Compare(t.Context(), PreUpgrade, []Object{fixed(t, `{"b": 2, "c": {"x": 3, "z": 4}}`, table...)})).To(Succeed())
	g.Expect(m.Compare(t.Context(), PreUpgrade, []Object{fixed(t, `{"b": 3, "c": {}}`, table...)})).To(MatchError(ContainSubstring("o.b: 2 → 3")))
}

func TestOneAttributeOfEveryElementMayBeTolerated(t *testing.T) {
	g := NewWithT(t)
	m := memoryOf(t, `{"list": [{"id": "x", "a": 1, "b": 1}, {"id": "y", "a": 1, "b": 1}]}`)
	table := []Tolerated{{Attribute: "list[*].a", Reason: "test"}}
	g.Expect(m.Compare(t.Context(), PreUpgrade, []Object{fixed(t, `{"list": [{"id": "x", "a": 2, "b": 1}, {"id": "y", "a": 3, "b": 1}]}`, table...)})).To(Succeed())
	g.Expect(m.Compare(t.Context(), PreUpgrade, []Object{fixed(t, `{"list": [{"id": "x", "a": 2, "b": 1}, {"id": "y", "a": 3, "b": 2}]}`, table...)})).
		To(MatchError(ContainSubstring("o.list[y].b: 1 → 2")))
	g.Expect(m.Compare(t.Context(), PreUpgrade, []Object{fixed(t, `{"list": [{"id": "x", "a": 1, "b": 1}]}`, table...)})).
		To(MatchError(ContainSubstring("o.list[]")), "which elements there are is never tolerated with it")
}

func TestAnEntryThatToleratesNothingFails(t *testing.T) {
	m := memoryOf(t, `{"a": 1}`)
	err := m.Compare(t.Context(), PostUpgrade, []Object{fixed(t, `{"a": 1}`, Tolerated{Attribute: "b", Reason: "test"})})
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("names b, which create never recorded")))
}

func TestCompareLooksAtEverythingBeforeItReturns(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	m := memoryOf(t, `{"a": 1}`)
	g.Expect(m.Save(ctx, map[string]string{"saved.gone": "1", "saved.refused": "1", "saved.broken": "1", "saved.last": "1"})).To(Succeed())
	returns := func(name string, value any, err error) Object {
		return Object{Name: name, Fetch: func(context.Context) (any, error) { return value, err }}
	}
	broken := errors.New("connection refused")
	err := m.Compare(ctx, PostUpgrade, []Object{
		fixed(t, `{"a": 2}`),
		returns("gone", nil, &Gone{What: "no such file"}),
		returns("refused", nil, gophercloud.ErrUnexpectedResponseCode{Actual: 404, Method: "GET", URL: "http://x"}),
		returns("broken", nil, broken),
		returns("never_saved", 1, nil),
		returns("last", 2, nil),
	})
	var difference *Difference
	g.Expect(errors.As(err, &difference)).To(BeTrue())
	g.Expect(difference.Seen()).To(Equal("o.a: 2\ngone: no such file\nrefused: HTTP 404 from GET http://x: \nlast: 2"))
	g.Expect(errors.Is(err, broken)).To(BeTrue(), "what could not be looked at is no difference, but not forgotten either")
	g.Expect(err).To(MatchError(ContainSubstring("no [s] saved.never_saved: create did not get that far")))
}

func TestServerErrorsAreNoDifference(t *testing.T) {
	m := memoryOf(t, `1`)
	err := m.Compare(t.Context(), PostUpgrade, []Object{{Name: "o", Fetch: func(context.Context) (any, error) {
		return nil, gophercloud.ErrUnexpectedResponseCode{Actual: 503}
	}}})
	var difference *Difference
	NewWithT(t).Expect(err).To(HaveOccurred())
	NewWithT(t).Expect(errors.As(err, &difference)).To(BeFalse())
}

func TestRecordRefusesWhatIsNotAsAsked(t *testing.T) {
	g := NewWithT(t)
	m := memoryOf(t, `1`)
	object := fixed(t, `{"name": "x", "tags": ["b", "a"], "size": 3, "l": [{"id": "2"}, {"id": "1"}]}`)
	object.Asked = map[string]any{"name": "x", "tags": []string{"a", "b"}, "size": 3, "l[]": []string{"1", "2"}}
	g.Expect(m.Record(t.Context(), []Object{object})).To(Succeed())
	object.Asked = map[string]any{"name": "y", "missing": nil, "size": 4}
	g.Expect(m.Record(t.Context(), []Object{object})).To(MatchError(
		`create o: the service made something else: missing: asked for null, got (absent); name: asked for "y", got "x"; size: asked for 4, got 3`))
}
