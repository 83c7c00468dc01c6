package neutron

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	. "github.com/onsi/gomega"
)

// fakeNeutron has the habits of the real one that removing has to cope with: it
// makes a project's default security group as soon as it is asked for the groups
// of that project, refuses to delete a network that somebody else's port is on,
// and a router that has interfaces.
type fakeNeutron struct {
	objects map[string][]map[string]any // collection → objects
	calls   []string
}

func (f *fakeNeutron) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/v2.0/"), "/")
	collection := parts[0]
	if r.Method != http.MethodGet {
		f.calls = append(f.calls, r.Method+" "+strings.Join(parts, "/"))
	}
	switch {
	case len(parts) == 1:
		project := r.URL.Query().Get("project_id")
		if collection == "security-groups" && project != "" {
			f.add(collection, map[string]any{"id": "default-of-" + project, "project_id": project})
		}
		found := []map[string]any{}
		for _, object := range f.objects[collection] {
			if matches(r, object) {
				found = append(found, object)
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{strings.ReplaceAll(collection, "-", "_"): found})
	case r.Method == http.MethodPut && len(parts) == 3:
		var body struct {
			Port string `json:"port_id"`
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		f.remove("ports", body.Port)
		_, _ = w.Write([]byte(`{}`))
	case r.Method == http.MethodPut:
		_, _ = w.Write([]byte(`{}`))
	case r.Method == http.MethodDelete && f.inUse(collection, parts[1]):
		http.Error(w, `{"NeutronError": {"message": "in use"}}`, http.StatusConflict)
	case r.Method == http.MethodDelete && f.remove(collection, parts[1]):
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet && f.find(collection, parts[1]) != nil:
		_ = json.NewEncoder(w).Encode(map[string]any{strings.TrimSuffix(strings.ReplaceAll(collection, "-", "_"), "s"): f.find(collection, parts[1])})
	default:
		http.NotFound(w, r)
	}
}

func matches(r *http.Request, object map[string]any) bool {
	for key, values := range r.URL.Query() {
		if object[key] != values[0] {
			return false
		}
	}
	return true
}

func (f *fakeNeutron) add(collection string, object map[string]any) {
	if f.find(collection, fmt.Sprint(object["id"])) == nil {
		f.objects[collection] = append(f.objects[collection], object)
	}
}

func (f *fakeNeutron) find(collection, id string) map[string]any {
	for _, object := range f.objects[collection] {
		if object["id"] == id {
			return object
		}
	}
	return nil
}

func (f *fakeNeutron) remove(collection, id string) bool {
	for i, object := range f.objects[collection] {
		if object["id"] == id {
			f.objects[collection] = append(f.objects[collection][:i:i], f.objects[collection][i+1:]...)
			return true
		}
	}
	return false
}

func (f *fakeNeutron) inUse(collection, id string) bool {
	for _, port := range f.objects["ports"] {
		if collection == "networks" && port["network_id"] == id && port["device_owner"] != "network:dhcp" ||
			collection == "routers" && port["device_id"] == id && port["device_owner"] == "network:router_interface" {
			return true
		}
	}
	return false
}

func startFake(t *testing.T, fake *fakeNeutron) *gophercloud.ServiceClient {
	t.Helper()
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	return &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{}, Endpoint: server.URL + "/", ResourceBase: server.URL + "/v2.0/"}
}

// holdingProject is what a project may have, and what others have beside it.
func holdingProject() *fakeNeutron {
	of := func(project, id string, more ...any) map[string]any {
		object := map[string]any{"id": id, "project_id": project}
		for i := 0; i+1 < len(more); i += 2 {
			object[fmt.Sprint(more[i])] = more[i+1]
		}
		return object
	}
	return &fakeNeutron{objects: map[string][]map[string]any{
		"floatingips": {of("ours", "f1"), of("theirs", "f2")},
		"routers":     {of("ours", "r1"), of("theirs", "r2")},
		"networks":    {of("ours", "n1"), of("theirs", "n2")},
		"ports": {
			of("ours", "p1", "network_id", "n1", "device_owner", "compute:x"),
			of("ours", "p2", "network_id", "n1", "device_owner", "network:router_interface", "device_id", "r1"),
			of("ours", "p3", "network_id", "n1", "device_owner", "network:dhcp"),
			of("theirs", "p4", "network_id", "n2", "device_owner", "compute:x"),
		},
		"security-groups": {of("ours", "g1"), of("ours", "default-of-ours"), of("theirs", "g2")},
		"quotas":          {of("", "ours")},
	}}
}

func TestClearRemovesAllOfAProjectAndNothingElse(t *testing.T) {
	g, fake := NewWithT(t), holdingProject()
	admin := startFake(t, fake)
	g.Expect(Clear(t.Context(), admin, "ours")).To(Succeed())
	g.Expect(Clear(t.Context(), admin, "ours")).To(Succeed(), "nothing to do is no error")
	left := []any{}
	for collection, objects := range fake.objects {
		for _, object := range objects {
			left = append(left, collection+" "+fmt.Sprint(object["id"]))
		}
	}
	// The DHCP port goes with its network, which is the real one's affair.
	g.Expect(left).To(ConsistOf("floatingips f2", "routers r2", "networks n2", "ports p3", "ports p4", "security-groups g2"))
}

// neutron makes the default group of a project anew when an agent asks for a port
// on a network that is about to go.
func TestADefaultGroupThatIsMadeAnewDoesNotStay(t *testing.T) {
	g, fake := NewWithT(t), holdingProject()
	late := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fake.ServeHTTP(w, r)
		if late && r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, "/default-of-ours") {
			late = false
			fake.add("security-groups", map[string]any{"id": "default-made-anew", "project_id": "ours"})
		}
	}))
	t.Cleanup(server.Close)
	admin := &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{}, Endpoint: server.URL + "/", ResourceBase: server.URL + "/v2.0/"}
	g.Expect((&check{}).clear(t.Context(), admin, "ours", holdings{})).To(Succeed())
	g.Expect(late).To(BeFalse())
	g.Expect(fake.objects["security-groups"]).To(HaveLen(1), "theirs")
}

func TestClearNamesThePortThatKeepsANetwork(t *testing.T) {
	g, fake := NewWithT(t), holdingProject()
	fake.add("ports", map[string]any{
		"id": "p5", "name": "of-nova", "project_id": "theirs", "network_id": "n1", "device_owner": "compute:nova", "device_id": "s1",
	})
	err := Clear(t.Context(), startFake(t, fake), "ours")
	g.Expect(err).To(MatchError(ContainSubstring("delete network n1: still in use by port p5 (of-nova) of compute:nova s1, project theirs")))
}

func TestWhatIsLeftOnTheNodeIsNamed(t *testing.T) {
	held := holdings{networks: []string{"n1"}, routers: []string{"r1"}, ports: []string{"p1"}}
	g := NewWithT(t)
	g.Expect(held.among(
		[]string{"qrouter-r1 (id: 3)", "qdhcp-n1 (id: 2)", "qdhcp-n2", "probe-p1", "probe-p2", "qrouter-n1", "other"},
		[]string{"p2", "p1"},
	)).To(Equal([]string{"namespace qrouter-r1", "namespace qdhcp-n1", "namespace probe-p1", "Open vSwitch port of p1"}))
	g.Expect(held.among([]string{"qdhcp-n2"}, nil)).To(BeEmpty())
	g.Expect(holdings{}.among([]string{"qdhcp-", "probe-p1"}, []string{"p1"})).To(BeEmpty())
}

func TestOnlySilenceIsAClosedPort(t *testing.T) {
	g := NewWithT(t)
	ask := func(address string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		host, port, err := net.SplitHostPort(address)
		g.Expect(err).NotTo(HaveOccurred())
		var number int
		_, err = fmt.Sscan(port, &number)
		g.Expect(err).NotTo(HaveOccurred())
		_, err = fromHost(ctx, host, number)
		return err
	}
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("me")) }))
	refusing := open.Listener.Addr().String()
	g.Expect(silent(ask(refusing))).To(BeFalse(), "it answers")
	open.Close()
	g.Expect(silent(ask(refusing))).To(BeFalse(), "it refuses")

	// It accepts and says nothing more, as far as a client can tell the same as a
	// packet that was swallowed.
	mute, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = mute.Close() }()
	g.Expect(silent(ask(mute.Addr().String()))).To(BeTrue())
}

func TestUntilReturnsWhatWasSaidLast(t *testing.T) {
	g := NewWithT(t)
	said := []string{"no answer", "no answer", answers}
	g.Expect(until(t.Context(), answers, func(context.Context) string {
		first := said[0]
		said = said[1:]
		return first
	})).To(Equal(answers))

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	g.Expect(until(ctx, answers, func(context.Context) string { return "no answer from 192.0.2.1" })).To(Equal("no answer from 192.0.2.1"))
}

func TestFlowsAreToldInFewWords(t *testing.T) {
	g := NewWithT(t)
	brief := func(rules ...any) any { return condensed(map[string]any{"table=71": rules}) }
	g.Expect(brief("a", "b")).To(HaveKeyWithValue("table=71", MatchRegexp(`^2 rules with the hash [0-9a-f]{16}$`)))
	g.Expect(brief("a", "b")).NotTo(Equal(brief("a", "c")))
	g.Expect(condensed("br-int has no rule for it")).To(Equal("br-int has no rule for it"))
}
