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

// saved is what stands in that file: names, and no password.
type saved struct {
	AuthURL       string            `json:"auth_url"`
	Region        string            `json:"region,omitempty"`
	User          string            `json:"user"`
	UserDomain    string            `json:"user_domain,omitempty"`
	Project       string            `json:"project"`
	ProjectDomain string            `json:"project_domain,omitempty"`
	Guestless     string            `json:"guestless,omitempty"`
	Endpoints     map[string]string `json:"endpoints"`
}

func (s cloudSeen) write(dir string) error {
	content, err := json.Marshal(saved{
		AuthURL: s.Access.AuthURL, Region: s.Access.Region, User: s.Access.Username, UserDomain: s.Access.UserDomain,
		Project: s.Access.Project, ProjectDomain: s.Access.ProjectDomain, Guestless: s.Access.Guestless, Endpoints: s.Endpoints,
	})
	if err != nil {
		return fmt.Errorf("what was seen of the cloud: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, seenName), content, 0o600); err != nil {
		return fmt.Errorf("what was seen of the cloud: %w", err)
	}
	return nil
}

// seenBefore is what an earlier process saw, with the administrator's password as it is now.
func seenBefore(dir string) (cloudSeen, error) {
	options, _, err := credentials(os.Getenv)
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
	if now := versioned(options.IdentityEndpoint); now != before.AuthURL {
		return cloudSeen{}, tree.Setting(fmt.Errorf("the run is about the cloud at %s, and the credentials are for %s", before.AuthURL, now))
	}
	if options.Username != "" && options.Username != before.User {
		return cloudSeen{}, tree.Setting(fmt.Errorf("the run is %s's, and the credentials are %s's", before.User, options.Username))
	}
	return cloudSeen{Endpoints: before.Endpoints, Access: tree.Access{
		AuthURL: before.AuthURL, Region: before.Region, Username: before.User, UserDomain: before.UserDomain, Password: options.Password,
		Project: before.Project, ProjectDomain: before.ProjectDomain, Guestless: before.Guestless,
	}}, nil
}
