package resources

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// Tolerated declares one attribute that may differ from what create saved.
type Tolerated struct {
	// Attribute is a path in the object: "token.issued_at". A trailing "*"
	// stands for every path that begins so, "[*]" for any element of a list.
	Attribute string
	// Reason says why it may differ. It is for readers and must not be empty.
	Reason string
}

// flatten turns decoded JSON into paths and JSON values, so that two objects
// can be compared attribute by attribute:
//
//   - {"user": {"name": "x"}} gives user.name = "x";
//   - a list of objects that all have an "id" gives one path per element,
//     list[id].name, and list[] = the sorted ids, so that an element more is seen;
//   - any other list is one value, sorted: no list of these APIs has an order
//     that means something.
func flatten(value any) (map[string]string, error) {
	flat := map[string]string{}
	if err := flattenInto(flat, "", value); err != nil {
		return nil, err
	}
	return flat, nil
}

func flattenInto(flat map[string]string, path string, value any) error {
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 0 {
			flat[path] = "{}"
		}
		for key, member := range v {
			if err := flattenInto(flat, join(path, key), member); err != nil {
				return err
			}
		}
		return nil
	case []any:
		if ids, ok := idsOf(v); ok {
			for i, element := range v {
				if err := flattenInto(flat, path+"["+ids[i]+"]", element); err != nil {
					return err
				}
			}
			sort.Strings(ids)
			text, err := encodeJSON(ids)
			if err != nil {
				return fmt.Errorf("attribute %s: %w", path, err)
			}
			flat[path+"[]"] = text
			return nil
		}
	}
	text, err := canonical(value)
	if err != nil {
		return fmt.Errorf("attribute %s: %w", path, err)
	}
	flat[path] = text
	return nil
}

func join(path, key string) string {
	switch {
	case path == "":
		return key
	case key == "" || key[0] == '[':
		return path + key
	}
	return path + "." + key
}

// idsOf returns the ids of a list whose elements are all objects with an id.
func idsOf(list []any) ([]string, bool) {
	ids := make([]string, 0, len(list))
	seen := map[string]bool{}
	for _, element := range list {
		object, ok := element.(map[string]any)
		if !ok {
			return nil, false
		}
		id, ok := object["id"].(string)
		if !ok || seen[id] {
			return nil, false
		}
		seen[id] = true
		ids = append(ids, id)
	}
	return ids, len(ids) > 0
}

// canonical is JSON with sorted keys and sorted lists.
func canonical(value any) (string, error) {
	switch v := value.(type) {
	case []any:
		parts := make([]string, 0, len(v))
		for _, element := range v {
			part, err := canonical(element)
			if err != nil {
				return "", err
			}
			parts = append(parts, part)
		}
		sort.Strings(parts)
		return "[" + strings.Join(parts, ",") + "]", nil
	case map[string]any:
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		parts := make([]string, 0, len(v))
		for _, key := range keys {
			part, err := canonical(v[key])
			if err != nil {
				return "", err
			}
			name, err := encodeJSON(key)
			if err != nil {
				return "", err
			}
			parts = append(parts, name+":"+part)
		}
		return "{" + strings.Join(parts, ",") + "}", nil
	case json.Number:
		return number(v), nil
	}
	return encodeJSON(value)
}

// number writes 1.0 and 1 alike: JSON has one kind of number.
func number(n json.Number) string {
	if !strings.ContainsAny(n.String(), ".eE") {
		return n.String()
	}
	f, err := n.Float64()
	if err != nil {
		return n.String()
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// encodeJSON writes a value as a reader wants to see it: <, > and & as they are.
func encodeJSON(value any) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", fmt.Errorf("write as JSON: %w", err)
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// normalize brings any Go value to what decoding its JSON gives. Numbers keep
// their digits: a float64 would change the last ones of a large size.
func normalize(value any) (any, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("write as JSON: %w", err)
	}
	return decodeJSON(string(text))
}

func decodeJSON(text string) (any, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	return value, nil
}

// compared is what comparing one object gave.
type compared struct {
	changes  []Change
	appeared []string // attributes that the saved object did not have
	unknown  []string // tolerated attributes that create never recorded
}

// compareObjects compares everything that was saved. What is there now and was
// not then is returned apart: whether that is a change depends on the stage.
func compareObjects(saved, seen any, tolerated []Tolerated) (compared, error) {
	var result compared
	before, err := flatten(saved)
	if err != nil {
		return result, err
	}
	now, err := flatten(seen)
	if err != nil {
		return result, err
	}
	for _, t := range tolerated {
		if !anyMatch(t, before) {
			result.unknown = append(result.unknown, t.Attribute)
		}
	}
	for _, path := range sortedKeys(before) {
		if isTolerated(tolerated, path) {
			continue
		}
		value, ok := now[path]
		if !ok && before[path] == "{}" && anyWithPrefix(now, path+".") {
			continue // what it holds now has appeared
		}
		if !ok {
			value = Absent
		}
		if value != before[path] {
			result.changes = append(result.changes, Change{Attribute: path, Saved: before[path], Seen: value})
		}
	}
	for _, path := range sortedKeys(now) {
		_, known := before[path]
		// An element more in a list is already reported by its "[]" path.
		if !known && !isTolerated(tolerated, path) && !insideNewElement(path, before) {
			result.appeared = append(result.appeared, path)
		}
	}
	return result, nil
}

// insideNewElement says whether a path lies in an element of a list that was
// known to before.
func insideNewElement(path string, before map[string]string) bool {
	for i := range path {
		if path[i] != '[' {
			continue
		}
		if _, known := before[path[:i]+"[]"]; known {
			end := strings.IndexByte(path[i:], ']')
			if end < 0 {
				return false
			}
			element := path[:i+end+1]
			if !anyWithPrefix(before, element) {
				return true
			}
		}
	}
	return false
}

func anyWithPrefix(flat map[string]string, prefix string) bool {
	for path := range flat {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// namedElement is the part of a path that names an element of a list. A list's
// own path ends with "[]".
var namedElement = regexp.MustCompile(`\[[^]]+\]`)

func (t Tolerated) matches(path string) bool {
	if strings.Contains(t.Attribute, "[*]") {
		path = namedElement.ReplaceAllString(path, "[*]")
	}
	if prefix, ok := strings.CutSuffix(t.Attribute, "*"); ok {
		return strings.HasPrefix(path, prefix)
	}
	return path == t.Attribute
}

func anyMatch(t Tolerated, flat map[string]string) bool {
	for path := range flat {
		if t.matches(path) {
			return true
		}
	}
	return false
}

func isTolerated(tolerated []Tolerated, path string) bool {
	for _, t := range tolerated {
		if t.matches(path) {
			return true
		}
	}
	return false
}

func sortedKeys(flat map[string]string) []string {
	keys := make([]string, 0, len(flat))
	for key := range flat {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
