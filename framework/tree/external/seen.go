package external

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"grenade/framework/tree"
)

// seenName is the file in SAVE_DIR with what a later process needs to know of a cloud that it may find stopped.
const seenName = "external.json"

// saved is what stands in that file: no credentials.
type saved struct {
	AuthURL   string            `json:"auth_url"`
	Guestless string            `json:"guestless,omitempty"`
	Endpoints map[string]string `json:"endpoints"`
}

func (s cloudSeen) write(dir string) error {
	content, err := json.Marshal(saved{s.Access.AuthURL, s.Access.Guestless, s.Endpoints})
	if err != nil {
		return fmt.Errorf("what was seen of the cloud: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, seenName), content, 0o600); err != nil {
		return fmt.Errorf("what was seen of the cloud: %w", err)
	}
	return nil
}

// seenBefore is what an earlier process saw, with the administrator's credentials as they are now.
func seenBefore(dir string) (cloudSeen, error) {
	options, _, region, err := credentials()
	if err != nil {
		return cloudSeen{}, tree.Setting(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, seenName))
	if err != nil {
		return cloudSeen{}, fmt.Errorf("what an earlier process saw of the cloud: %w", err)
	}
	var before saved
	if err := json.Unmarshal(content, &before); err != nil {
		return cloudSeen{}, fmt.Errorf("what an earlier process saw of the cloud: %s: %w", seenName, err)
	}
	seen := cloudSeen{Access: accessOf(options, region), Endpoints: before.Endpoints}
	seen.Access.Guestless = before.Guestless
	if seen.Access.AuthURL != before.AuthURL {
		return cloudSeen{}, tree.Setting(fmt.Errorf("the run is about the cloud at %s, and the credentials are for %s", before.AuthURL, seen.Access.AuthURL))
	}
	return seen, nil
}
