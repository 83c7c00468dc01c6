package swift

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gophercloud/gophercloud/v2"

	"grenade/resources"
)

// features says which of the cluster's optional parts the check uses: those that
// it had when create asked.
type features struct {
	Versions bool `json:"versions"`
	TempURL  bool `json:"tempurl"`
	Large    bool `json:"slo"`
	Symlink  bool `json:"symlink"`
	// Dynamic large objects are not told in /info: create tries.
	Dynamic bool `json:"dlo"`
}

func featuresOf(info map[string]any) features {
	has := func(name string) bool { _, ok := info[name]; return ok }
	return features{
		Versions: has("object_versioning"), TempURL: has("tempurl"), Large: has("slo"), Symlink: has("symlink"),
	}
}

func (c *check) features() (features, error) {
	var used features
	text, err := c.memory.Get(keyFeatures)
	if err != nil {
		return used, err
	}
	if err := json.Unmarshal([]byte(text), &used); err != nil {
		return used, fmt.Errorf("[%s] %s in the store: %w", c.memory.Section, keyFeatures, err)
	}
	return used, nil
}

// info is what swift tells everybody about itself (API reference, "List
// activated capabilities").
func info(ctx context.Context, client *gophercloud.ServiceClient) (map[string]any, error) {
	root, _, found := strings.Cut(client.Endpoint, "/v1/")
	if !found {
		return nil, fmt.Errorf("swift's endpoint %s has no /v1/ in it", client.Endpoint)
	}
	body, err := get(ctx, client, root+"/info")
	if err != nil {
		return nil, err
	}
	told, ok := body.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("GET %s/info: the answer is %T, wanted an object", root, body)
	}
	return told, nil
}

// infoObject is everything that /info tells but the version: what is gone is a
// change, and a limit that moved, too.
func (s *session) infoObject(stage resources.Stage) resources.Object {
	object := resources.Object{
		Name: "info",
		Fetch: func(ctx context.Context) (any, error) {
			told, err := info(ctx, s.owner)
			return sets(told), err
		},
		Tolerated: []resources.Tolerated{{Attribute: "swift.version", Reason: "compared apart: it may rise"}},
	}
	if stage == resources.PostUpgrade && s.features.Large {
		object.Tolerated = append(object.Tolerated, resources.Tolerated{
			Attribute: "slo.allow_async_delete",
			Reason:    "its default became true after Zed: swift may remove the segments of a large object later, if it is asked to",
		})
	}
	return object
}

// sets makes of each list of words an object with a member for each. The lists
// in /info (digests, header lines) have no order, and a new release may add to
// them: what is added has appeared, what is gone is a change.
func sets(told any) any {
	switch value := told.(type) {
	case map[string]any:
		for key, member := range value {
			value[key] = sets(member)
		}
	case []any:
		members := map[string]any{}
		for _, each := range value {
			word, ok := each.(string)
			if !ok {
				return value
			}
			members[word] = true
		}
		return members
	}
	return told
}

// recordInfo saves what compareInfo compares. There are no microversions in
// swift: the software's version is the only number that it shows.
func (s *session) recordInfo(ctx context.Context) error {
	told, err := info(ctx, s.owner)
	if err != nil {
		return fmt.Errorf("swift's version: %w", err)
	}
	version, err := versionIn(told)
	if err != nil {
		return err
	}
	if err := s.check.memory.Save(ctx, map[string]string{keyVersion: version}); err != nil {
		return err
	}
	return s.check.memory.Record(ctx, []resources.Object{s.infoObject(resources.PreUpgrade)})
}

// compareInfo fails when the version fell, or something that swift told is not
// told any more.
func (s *session) compareInfo(ctx context.Context, stage resources.Stage) error {
	if err := s.check.memory.Compare(ctx, stage, []resources.Object{s.infoObject(stage)}); err != nil {
		return err
	}
	saved, err := s.check.memory.Get(keyVersion)
	if err != nil {
		return err
	}
	told, err := info(ctx, s.owner)
	if err != nil {
		return fmt.Errorf("swift's version: %w", err)
	}
	seen, err := versionIn(told)
	if err != nil {
		return err
	}
	if fell(saved, seen) || stage == resources.PreUpgrade && saved != seen {
		want := saved
		if stage == resources.PostUpgrade {
			want += " or higher"
		}
		return s.difference(stage, resources.Change{Attribute: "info.swift.version", Saved: want, Seen: seen})
	}
	return nil
}

func versionIn(info map[string]any) (string, error) {
	swift, _ := info["swift"].(map[string]any)
	version, ok := swift["version"].(string)
	if !ok {
		return "", fmt.Errorf("swift's /info names no version")
	}
	return version, nil
}

// fell says whether a version is lower than an earlier one: "2.9.0" than
// "2.30.1". What follows the numbers ("2.36.0.dev12") does not count.
func fell(earlier, now string) bool {
	before, after := strings.Split(earlier, "."), strings.Split(now, ".")
	for i := range before {
		a, err := strconv.Atoi(before[i])
		if err != nil {
			return false
		}
		if i >= len(after) {
			return true
		}
		b, err := strconv.Atoi(after[i])
		if err != nil {
			return true
		}
		if a != b {
			return b < a
		}
	}
	return false
}

func (s *session) difference(stage resources.Stage, changes ...resources.Change) error {
	return &resources.Difference{Subject: s.check.memory.Section + ", " + string(stage), Changes: changes}
}

// isRefused says whether an operation is not for this user, or switched off.
func isRefused(err error) bool {
	for _, status := range []int{http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusUnauthorized} {
		if gophercloud.ResponseCodeIs(err, status) {
			return true
		}
	}
	return false
}
