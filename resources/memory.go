package resources

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/sirupsen/logrus"
)

// Object is one thing that create records whole and verify compares whole.
type Object struct {
	// Name is what reports call it and what the store keeps it under: "user".
	Name string
	// Fetch returns it as decoded JSON, or anything that marshals to JSON.
	Fetch func(ctx context.Context) (any, error)
	// Asked are attributes (paths, see Change) with the values that create
	// asked for. Recording fails when the service made something else: a wrong
	// value that is recorded would be compared with itself for ever after.
	Asked map[string]any
	// Tolerated is the table of attributes that may differ. An entry that names
	// nothing that create recorded fails the comparison: it is out of date.
	Tolerated []Tolerated
}

// Memory is one check's part of the store.
type Memory struct {
	Store   *Store
	Section string
	Log     *logrus.Entry
}

const savedPrefix = "saved."

// Get returns a saved value, or an error that says that create did not save it.
func (m *Memory) Get(key string) (string, error) {
	value, ok, err := m.Store.Get(m.Section, key)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", fmt.Errorf("the store has no [%s] %s: create did not get that far", m.Section, key)
	}
	return value, nil
}

// Find returns a saved value, or "" when there is none.
func (m *Memory) Find(key string) (string, error) {
	value, _, err := m.Store.Get(m.Section, key)
	return value, err
}

// All returns every key that the check saved.
func (m *Memory) All() (map[string]string, error) { return m.Store.Section(m.Section) }

// Save keeps values for later phases.
func (m *Memory) Save(ctx context.Context, values map[string]string) error {
	return m.Store.Save(ctx, m.Section, values)
}

// Forget removes everything that the check saved, so that a new create starts
// with nothing of an older one; keys that begin with one of the prefixes stay,
// such as those of an early create.
func (m *Memory) Forget(ctx context.Context, but ...string) error {
	return m.Store.Forget(ctx, m.Section, but...)
}

// Record fetches objects and saves every attribute of them, as create does.
func (m *Memory) Record(ctx context.Context, objects []Object) error {
	values := map[string]string{}
	for _, object := range objects {
		seen, err := object.Fetch(ctx)
		if err != nil {
			return fmt.Errorf("record %s: %w", object.Name, err)
		}
		seen, err = normalize(seen)
		if err != nil {
			return fmt.Errorf("record %s: %w", object.Name, err)
		}
		if err := madeAsAsked(object, seen); err != nil {
			return err
		}
		text, err := encodeJSON(seen)
		if err != nil {
			return fmt.Errorf("record %s: %w", object.Name, err)
		}
		values[savedPrefix+object.Name] = text
	}
	return m.Save(ctx, values)
}

func madeAsAsked(object Object, seen any) error {
	flat, err := flatten(seen)
	if err != nil {
		return fmt.Errorf("record %s: %w", object.Name, err)
	}
	var wrong []string
	for path, value := range object.Asked {
		want, err := normalize(value)
		if err != nil {
			return fmt.Errorf("record %s: %s: %w", object.Name, path, err)
		}
		text, err := canonical(want)
		if err != nil {
			return fmt.Errorf("record %s: %s: %w", object.Name, path, err)
		}
		got, ok := flat[path]
		if !ok {
			got = Absent
		}
		if got != text {
			wrong = append(wrong, fmt.Sprintf("%s: asked for %s, got %s", path, text, got))
		}
	}
	if len(wrong) > 0 {
		sort.Strings(wrong)
		return fmt.Errorf("create %s: the service made something else: %s", object.Name, strings.Join(wrong, "; "))
	}
	return nil
}

// Compare fetches the objects again and compares them with what Record saved.
// It looks at all of them before it returns: a *Difference with every change,
// joined with the errors of what could not be looked at. An object that the
// service refuses or no longer knows (401, 403, 404, 410) is a change. An
// attribute that appeared is a change before the upgrade; after it, it is logged,
// because a new release may show more of an old object, never less.
func (m *Memory) Compare(ctx context.Context, stage Stage, objects []Object) error {
	difference := &Difference{Subject: m.Section + ", " + string(stage)}
	var errs []error
	for _, object := range objects {
		changes, err := m.compare(ctx, stage, object)
		if err != nil {
			errs = append(errs, err)
		}
		difference.Changes = append(difference.Changes, changes...)
	}
	if len(difference.Changes) > 0 {
		errs = append([]error{difference}, errs...)
	}
	return errors.Join(errs...)
}

func (m *Memory) compare(ctx context.Context, stage Stage, object Object) ([]Change, error) {
	text, err := m.Get(savedPrefix + object.Name)
	if err != nil {
		return nil, err
	}
	saved, err := decodeJSON(text)
	if err != nil {
		return nil, fmt.Errorf("[%s] %s%s in the store: %w", m.Section, savedPrefix, object.Name, err)
	}
	seen, err := object.Fetch(ctx)
	if err != nil {
		if answer, refused := refusal(err); refused {
			return []Change{{Attribute: object.Name, Saved: "there when create saved it", Seen: answer}}, nil
		}
		return nil, fmt.Errorf("look at %s: %w", object.Name, err)
	}
	if seen, err = normalize(seen); err != nil {
		return nil, fmt.Errorf("look at %s: %w", object.Name, err)
	}
	result, err := compareObjects(saved, seen, object.Tolerated)
	if err != nil {
		return nil, fmt.Errorf("compare %s: %w", object.Name, err)
	}
	if stage == PreUpgrade {
		now, err := flatten(seen)
		if err != nil {
			return nil, fmt.Errorf("compare %s: %w", object.Name, err)
		}
		for _, path := range result.appeared {
			result.changes = append(result.changes, Change{Attribute: path, Saved: Absent, Seen: now[path]})
		}
	} else if len(result.appeared) > 0 {
		m.Log.WithField("attributes", result.appeared).Infof("%s shows attributes that it did not show before the upgrade", object.Name)
	}
	for i := range result.changes {
		result.changes[i].Attribute = join(object.Name, result.changes[i].Attribute)
	}
	if len(result.unknown) > 0 {
		err = fmt.Errorf("compare %s: the table of tolerated attributes names %s, which create never recorded: remove the entry",
			object.Name, strings.Join(result.unknown, ", "))
	}
	return result.changes, err
}

// refusal tells an answer about the object from a failure to ask.
func refusal(err error) (answer string, ok bool) {
	var gone *Gone
	if errors.As(err, &gone) {
		return gone.What, true
	}
	var unexpected gophercloud.ErrUnexpectedResponseCode
	if !errors.As(err, &unexpected) {
		return "", false
	}
	switch unexpected.Actual {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		said := strings.Join(strings.Fields(string(unexpected.Body)), " ")
		return fmt.Sprintf("HTTP %d from %s %s: %.300s", unexpected.Actual, unexpected.Method, unexpected.URL, said), true
	}
	return "", false
}

// Gone is what Fetch returns when it found out, otherwise than by an HTTP
// status, that the object is not there: a file, a row.
type Gone struct {
	// What is shown as seen: "no such file".
	What string
}

// Error implements error.
func (g *Gone) Error() string { return g.What }
