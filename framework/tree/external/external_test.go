package external

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	. "github.com/onsi/gomega"

	"grenade/framework/config"
	"grenade/framework/tree"
)

// programs writes executables into a directory of commands.
func programs(t *testing.T, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		path := filepath.Join(dir, name)
		NewWithT(t).Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
		NewWithT(t).Expect(os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755)).To(Succeed())
	}
	return dir
}

func TestACommandOfTheProjectsOwnGoesBeforeThatOfAll(t *testing.T) {
	g := NewWithT(t)
	dir := programs(t, map[string]string{"upgrade": "", "stop": "", "nova/upgrade": "", "nova/start": ""})
	c := NewCloud(Options{Config: &config.Config{ExternalCommands: dir}})
	halves := programs(t, map[string]string{"start": ""})
	g.Expect(NewCloud(Options{Config: &config.Config{ExternalCommands: halves}}).Script("nova", "upgrade.sh")).To(Equal(tree.Script{
		Commands: [][]string{{halves + "/start", "nova"}}, Missing: "EXTERNAL_COMMANDS has no upgrade for nova",
	}), "what was stopped runs again")
	g.Expect(c.Script("nova", "upgrade.sh")).To(Equal(tree.Script{Commands: [][]string{{dir + "/nova/upgrade", "nova"}, {dir + "/nova/start", "nova"}}}))
	g.Expect(c.Script("glance", "upgrade.sh")).To(Equal(tree.Script{Commands: [][]string{{dir + "/upgrade", "glance"}}}))
	g.Expect(c.Script("glance", "shutdown.sh")).To(Equal(tree.Script{Commands: [][]string{{dir + "/stop", "glance"}}}))
	g.Expect(c.Script("glance", "snapshot.sh")).To(Equal(tree.Script{Missing: "EXTERNAL_COMMANDS has no snapshot for glance"}))
	g.Expect(c.Script("glance", "resources.sh")).To(HaveField("Missing", ContainSubstring("seen from outside")))
}

func TestMistakesInCommandsAreToldTogether(t *testing.T) {
	g := NewWithT(t)
	dir := programs(t, map[string]string{"stop": "", "nova/upgrade/x": ""})
	g.Expect(os.Chmod(dir+"/stop", 0o644)).To(Succeed())
	err := commands{dir}.check([]string{"keystone", "nova"})
	g.Expect(err).To(MatchError(And(
		ContainSubstring("command stop for keystone: "+dir+"/stop cannot be executed"), ContainSubstring(dir+"/nova/upgrade is a directory"))))
	g.Expect(commands{t.TempDir()}.check([]string{"keystone"})).To(MatchError(ContainSubstring("nothing would be upgraded")))
	g.Expect(commands{programs(t, map[string]string{"upgrade": ""})}.check([]string{"keystone"})).To(Succeed())
	g.Expect(commands{dir + "/nowhere"}.check([]string{"keystone"})).To(MatchError(ContainSubstring("no such file")))
	g.Expect(commands{dir + "/stop"}.check([]string{"keystone"})).To(MatchError(ContainSubstring("/stop is no directory")))
}

func TestTheVersionIsWhatTheCommandSays(t *testing.T) {
	g := NewWithT(t)
	dir := programs(t, map[string]string{"version": `echo "  $1   1.0 "`, "nova/version": ":", "glance/version": "exit 3"})
	c := NewCloud(Options{Config: &config.Config{ExternalCommands: dir}})
	g.Expect(c.Version(t.Context(), "keystone")).To(Equal("keystone 1.0"))
	_, err := c.Version(t.Context(), "nova")
	g.Expect(err).To(MatchError(ContainSubstring("said nothing")))
	_, err = c.Version(t.Context(), "glance")
	g.Expect(err).To(MatchError(ContainSubstring("version of glance")))
	c = NewCloud(Options{Config: &config.Config{ExternalCommands: t.TempDir()}})
	g.Expect(c.Version(t.Context(), "nova")).To(BeEmpty())
}

// fakeKeystone is a fake: it gives a token with a catalog to whoever asks, and has
// these images.
func fakeKeystone(t *testing.T, images ...string) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	answer := func(w http.ResponseWriter, status int, body any) {
		w.Header().Set("X-Subject-Token", "token")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	type object map[string]any
	service := func(kind, region, url string) object {
		return object{"type": kind, "name": kind, "endpoints": []object{{"interface": "public", "region": region, "region_id": region, "url": url}}}
	}
	mux.HandleFunc("/v3/auth/tokens", func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Auth struct {
				Identity struct {
					Password struct{ User struct{ Name string } }
				}
				Scope struct{ Project struct{ Name string } }
			}
		}
		_ = json.NewDecoder(r.Body).Decode(&asked)
		answer(w, http.StatusCreated, object{"token": object{
			"user":    object{"name": asked.Auth.Identity.Password.User.Name, "domain": object{"id": "staff", "name": "Staff"}},
			"project": object{"name": asked.Auth.Scope.Project.Name, "domain": object{"id": "default", "name": "Default"}},
			"catalog": []object{
				service("image", "one", server.URL+"/image"), service("volumev3", "one", server.URL+"/volume"),
				service("compute", "two", server.URL+"/compute"), service("dns", "one", server.URL+"/dns"),
			},
		}})
	})
	mux.HandleFunc("/v3", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, object{"version": object{"id": "v3.14", "status": "stable", "links": []object{{"rel": "self", "href": server.URL + "/v3/"}}}})
	})
	mux.HandleFunc("/image/{$}", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusMultipleChoices, object{"versions": []object{
			{"id": "v2.9", "status": "CURRENT", "links": []object{{"rel": "self", "href": server.URL + "/image/v2/"}}},
		}})
	})
	mux.HandleFunc("/image/v2/images", func(w http.ResponseWriter, r *http.Request) {
		list := []object{}
		for _, name := range images {
			if name == r.URL.Query().Get("name") {
				list = append(list, object{"id": "1", "name": name})
			}
		}
		answer(w, http.StatusOK, object{"images": list})
	})
	return server
}

type secrets []string

func (s *secrets) Add(values ...string) { *s = append(*s, values...) }

// sourced sets what an openrc sets, and nothing else of the caller's.
func sourced(t *testing.T, url string) {
	t.Helper()
	for name, value := range map[string]string{
		"OS_CLOUD": "", "OS_AUTH_URL": url + "/v3", "OS_USERNAME": "admin", "OS_PASSWORD": "secret", "OS_PROJECT_NAME": "ops",
		"OS_USER_DOMAIN_NAME": "Staff", "OS_PROJECT_DOMAIN_ID": "default", "OS_REGION_NAME": "one", "OS_DOMAIN_NAME": "", "OS_CACERT": "",
		"OS_USER_DOMAIN_ID": "", "OS_PROJECT_DOMAIN_NAME": "", "SSL_CERT_FILE": "",
		"OS_TENANT_NAME": "", "OS_TENANT_ID": "", "OS_PROJECT_ID": "", "OS_USERID": "", "OS_DOMAIN_ID": "", "OS_TOKEN": "", "OS_PASSCODE": "",
		"OS_APPLICATION_CREDENTIAL_ID": "", "OS_APPLICATION_CREDENTIAL_NAME": "", "OS_APPLICATION_CREDENTIAL_SECRET": "", "OS_SYSTEM_SCOPE": "",
	} {
		t.Setenv(name, value)
	}
}

func TestTheCloudIsFoundByAnOpenrc(t *testing.T) {
	g := NewWithT(t)
	sourced(t, fakeKeystone(t, "grenade-guest").URL)
	var hidden secrets
	settings := &config.Config{SaveDir: t.TempDir(), ExternalImage: "grenade-guest"}
	c := NewCloud(Options{Config: settings, Secrets: &hidden})
	g.Expect(c.Start(t.Context(), []string{"glance"})).To(Succeed())
	g.Expect(hidden).To(ContainElement("secret"))
	access := c.Access()
	g.Expect([]string{access.Username, access.UserDomain, access.Project, access.ProjectDomain, access.Region}).
		To(Equal([]string{"admin", "Staff", "ops", "Default", "one"}))
	g.Expect(access.AuthURL).To(HaveSuffix("/v3"))
	g.Expect(access.Guestless).To(BeEmpty())
	for project, known := range map[string]bool{"glance": true, "cinder": true, "nova": false, "designate": false} {
		_, is := c.Service(project, config.Base)
		g.Expect(is).To(Equal(known), project)
	}

	settings.ExternalImage = "other"
	g.Expect(c.Start(t.Context(), nil)).To(Succeed())
	g.Expect(c.Access().Guestless).To(ContainSubstring("has no image other"))
}

func TestALaterProcessGoesOnWithACloudThatIsDown(t *testing.T) {
	g := NewWithT(t)
	server := fakeKeystone(t)
	sourced(t, server.URL)
	settings := &config.Config{SaveDir: t.TempDir(), ExternalImage: "grenade-guest"}
	c := NewCloud(Options{Config: settings, Secrets: &secrets{}})
	g.Expect(c.Attach(t.Context())).NotTo(Succeed(), "nobody has seen it")
	g.Expect(c.Start(t.Context(), nil)).To(Succeed())
	server.Close()
	later := NewCloud(Options{Config: settings, Secrets: &secrets{}})
	g.Expect(later.Attach(t.Context())).To(Succeed())
	g.Expect(later.Access()).To(Equal(c.Access()))
	service, known := later.Service("glance", config.Base)
	g.Expect(known).To(BeTrue())
	g.Expect(service.URL).To(Equal(server.URL + "/image"))
	saved, err := os.ReadFile(settings.SaveDir + "/" + seenName)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(saved)).NotTo(ContainSubstring("secret"))

	t.Setenv("OS_USERNAME", "somebody else")
	g.Expect(later.Attach(t.Context())).To(MatchError(ContainSubstring("the run is admin's, and the credentials are somebody else's")))
	sourced(t, "http://another.example")
	g.Expect(later.Attach(t.Context())).To(MatchError(tree.ErrSetting))
}

func TestTheCloudIsFoundInCloudsYAML(t *testing.T) {
	g := NewWithT(t)
	url := fakeKeystone(t).URL
	sourced(t, url)
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	g.Expect(os.WriteFile(file, []byte("clouds:\n  mine:\n    region_name: two\n    auth:\n      auth_url: "+url+
		"/v3\n      username: root\n      password: secret\n      project_name: ops\n      user_domain_name: Default\n      project_domain_name: Default\n"), 0o600)).To(Succeed())
	t.Setenv("OS_CLIENT_CONFIG_FILE", file)
	t.Setenv("OS_CLOUD", "mine")
	t.Setenv("OS_REGION_NAME", "")
	seen, err := see(t.Context(), "x")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(seen.Endpoints).To(HaveLen(1))
	g.Expect(seen.Endpoints).To(HaveKey("nova"))
	g.Expect(seen.Access.Username).To(Equal("root"))
	t.Setenv("OS_CLOUD", "nobodys")
	_, err = see(t.Context(), "x")
	g.Expect(err).To(MatchError(tree.ErrSetting))
	g.Expect(err).To(MatchError(ContainSubstring("cloud nobodys of clouds.yaml")))
}

func TestWhoCannotLogInIsTold(t *testing.T) {
	g := NewWithT(t)
	sourced(t, "http://127.0.0.1:1")
	_, err := see(t.Context(), "x")
	g.Expect(err).To(MatchError(tree.ErrEnvironment))
	g.Expect(err).To(MatchError(ContainSubstring("log in at http://127.0.0.1:1")))
	t.Setenv("OS_PASSWORD", "")
	_, err = see(context.WithoutCancel(t.Context()), "x")
	g.Expect(err).To(MatchError(tree.ErrSetting))
}

func TestAnOpenrcIsReadAsOpenStacksOwnClientReadsIt(t *testing.T) {
	enough := map[string]string{"OS_AUTH_URL": "http://a", "OS_USERNAME": "u", "OS_PASSWORD": "p", "OS_PROJECT_NAME": "ops"}
	for _, test := range []struct {
		name    string
		env     map[string]string
		without string
		want    gophercloud.AuthOptions
		scope   gophercloud.AuthScope
		wrong   string
	}{
		{name: "no domains", want: gophercloud.AuthOptions{DomainID: "default"}, scope: gophercloud.AuthScope{ProjectName: "ops", DomainID: "default"}},
		{
			name: "two domains, an id and a name", env: map[string]string{"OS_USER_DOMAIN_ID": "staff", "OS_PROJECT_DOMAIN_NAME": "Default"},
			want: gophercloud.AuthOptions{DomainID: "staff"}, scope: gophercloud.AuthScope{ProjectName: "ops", DomainName: "Default"},
		},
		{
			name: "one domain for both", env: map[string]string{"OS_DOMAIN_NAME": "Staff"},
			want: gophercloud.AuthOptions{DomainName: "Staff"}, scope: gophercloud.AuthScope{ProjectName: "ops", DomainName: "Staff"},
		},
		{
			name: "a project's id has no domain", env: map[string]string{"OS_PROJECT_ID": "1", "OS_PROJECT_DOMAIN_NAME": "Default"},
			want: gophercloud.AuthOptions{DomainID: "default"}, scope: gophercloud.AuthScope{ProjectID: "1"},
		},
		{name: "nobody", without: "OS_USERNAME", wrong: "the environment has no OS_USERNAME"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := NewWithT(t)
			got, err := openrc(func(name string) string {
				if value, set := test.env[name]; set {
					return value
				}
				if name == test.without {
					return ""
				}
				return enough[name]
			})
			if test.wrong != "" {
				g.Expect(err).To(MatchError(test.wrong))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			test.want.IdentityEndpoint, test.want.Username, test.want.Password, test.want.Scope = "http://a", "u", "p", &test.scope
			g.Expect(got).To(Equal(test.want))
		})
	}
}

func TestAnAuthorityOfTheCloudsOwnIsAskedFor(t *testing.T) {
	g := NewWithT(t)
	lines := map[string]string{"OS_AUTH_URL": "https://a", "OS_USERNAME": "u", "OS_PASSWORD": "p", "OS_PROJECT_NAME": "ops", "OS_CACERT": "/ca.pem"}
	_, _, err := credentials(func(name string) string { return lines[name] })
	g.Expect(err).To(MatchError(ContainSubstring("set SSL_CERT_FILE, which all checks heed, to /ca.pem")))
	lines["SSL_CERT_FILE"] = "/ca.pem"
	_, _, err = credentials(func(name string) string { return lines[name] })
	g.Expect(err).NotTo(HaveOccurred())
}
