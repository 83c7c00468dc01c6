package behaviour_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"grenade/resources/keystone/fakekeystone"
)

// fakeCloud starts a fake of somebody's cloud: "fake-cloud dir [/v3] [volumes]", a keystone, and with volumes a cinder that holds
// nothing and is stopped by a file stopped-cinder. What the operator's commands do to it,
// they do to files of the directory, whose path is in CLOUD (its address is in CLOUD_URL):
//
//   - stopped: nobody answers.
//   - api: the version of the API that it offers.
//   - change: a collection, an attribute and a value, which every object of the collection then has.
//
// The administrator's credentials are in the environment, as an openrc leaves them. With /v3 that follows keystone's address in
// the catalog.
func fakeCloud(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 1 {
		ts.Fatalf("usage: fake-cloud dir [/v3] [volumes]")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	options := fakekeystone.Options{Password: "the administrator's"}
	if slices.Contains(args, "/v3") {
		options.Endpoint = "/v3"
	}
	options.Volumes = slices.Contains(args, "volumes")
	options.Before = func(fake *fakekeystone.Server, path string) bool {
		if version, err := os.ReadFile(filepath.Join(dir, "api")); err == nil {
			fake.Upgrade(string(bytes.TrimSpace(version)))
		}
		if change, err := os.ReadFile(filepath.Join(dir, "change")); err == nil {
			words := bytes.SplitN(bytes.TrimSpace(change), []byte(" "), 3)
			fake.Change(string(words[0]), string(words[1]), string(words[2]))
		}
		stopped := "stopped"
		if strings.HasPrefix(path, "/volume/") {
			stopped = "stopped-cinder"
		}
		_, err := os.Stat(filepath.Join(dir, stopped))
		return err != nil
	}
	fake := fakekeystone.New(options)
	ts.Defer(fake.Close)
	*fakeOf(ts) = fake
	for name, value := range map[string]string{
		"CLOUD": dir, "CLOUD_URL": fake.URL, "OS_AUTH_URL": fake.URL + "/v3", "OS_REGION_NAME": "RegionOne", "OS_USERNAME": "admin", "OS_PASSWORD": options.Password,
		"OS_PROJECT_NAME": "admin", "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default", "OS_DOMAIN_NAME": "Default",
	} {
		ts.Setenv(name, value)
	}
}

// fakeKey is where a script has its fake cloud.
type fakeKey struct{}

func fakeOf(ts *testscript.TestScript) **fakekeystone.Server {
	fake, ok := ts.Value(fakeKey{}).(**fakekeystone.Server)
	if !ok {
		ts.Fatalf("there is no place for a fake cloud")
	}
	return fake
}

// cloudIsEmpty tells whether nothing is in the fake cloud, which has nothing when it starts.
func cloudIsEmpty(ts *testscript.TestScript, neg bool, _ []string) {
	left := (*fakeOf(ts)).Left()
	if (len(left) == 0) == neg {
		ts.Fatalf("the cloud holds %d things: %v", len(left), left)
	}
}
