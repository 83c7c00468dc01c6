package guest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	. "github.com/onsi/gomega"

	"grenade/resources"
)

// fakeNova has one server, which shows one state after the other. shown counts how
// often it was asked for the server itself, and not for a list.
type fakeNova struct {
	shows        []map[string]any
	looks, shown int
}

func (f *fakeNova) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	state := f.shows[min(f.looks, len(f.shows)-1)]
	w.Header().Set("Content-Type", "application/json")
	if request.URL.Path == "/servers" {
		list := []any{}
		if status, _ := state["status"].(string); slices.Contains(request.URL.Query()["status"], status) {
			list = append(list, map[string]any{"id": "4711"})
		} else {
			f.looks++
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"servers": list})
		return
	}
	f.looks++
	f.shown++
	if state == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"server": state})
}

func newFakeNova(t *testing.T, shows ...map[string]any) (*fakeNova, *gophercloud.ServiceClient) {
	t.Helper()
	fake := &fakeNova{shows: shows}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	return fake, &gophercloud.ServiceClient{
		ProviderClient: &gophercloud.ProviderClient{}, Endpoint: server.URL + "/", Type: "compute", Microversion: Microversion,
	}
}

func TestAServerInErrorEndsTheWaitWithItsFault(t *testing.T) {
	building := map[string]any{"status": "BUILD", "OS-EXT-STS:task_state": "spawning"}
	fake, compute := newFakeNova(t,
		building, building, building, building,
		map[string]any{"status": "ERROR", "OS-EXT-STS:task_state": "spawning", "fault": map[string]any{"code": 500, "message": "No valid host was found."}},
	)
	began := time.Now()
	err := AwaitStatus(t.Context(), compute, "4711", "ACTIVE")
	g := NewWithT(t)
	g.Expect(err).To(MatchError(And(ContainSubstring("server 4711"), ContainSubstring("No valid host was found."))))
	g.Expect(time.Since(began)).To(BeNumerically("<", 10*time.Second))
	g.Expect(fake.shown).To(Equal(2), "nova shows a server at neutron's cost: not at each look while it is being built")
}

func TestAServerThatVanishesIsNotWaitedFor(t *testing.T) {
	_, compute := newFakeNova(t, nil)
	began := time.Now()
	g := NewWithT(t)
	g.Expect(resources.IsGone(AwaitStatus(t.Context(), compute, "4711", "ACTIVE"))).To(BeTrue())
	g.Expect(time.Since(began)).To(BeNumerically("<", 10*time.Second))
}

func TestAServerWithATaskUnderWayIsNotReady(t *testing.T) {
	fake, compute := newFakeNova(t,
		map[string]any{"status": "ACTIVE", "OS-EXT-STS:task_state": "powering-off"},
		map[string]any{"status": "SHUTOFF", "OS-EXT-STS:task_state": "powering-off"},
		map[string]any{"status": "SHUTOFF"},
	)
	g := NewWithT(t)
	g.Expect(AwaitStatus(t.Context(), compute, "4711", "SHUTOFF")).To(Succeed())
	g.Expect(fake.looks).To(Equal(3))
}

func TestADeletionThatNovaGaveUpIsNotWaitedFor(t *testing.T) {
	_, compute := newFakeNova(t, map[string]any{"status": "ERROR", "fault": map[string]any{"message": "libvirt is away"}})
	err := lookAtDeleted(t.Context(), compute, "4711")
	g := NewWithT(t)
	g.Expect(err).To(MatchError(ContainSubstring("libvirt is away")))
	g.Expect(resources.IsGone(err)).To(BeFalse())

	_, compute = newFakeNova(t, nil)
	g.Expect(resources.IsGone(lookAtDeleted(t.Context(), compute, "4711"))).To(BeTrue())
}

func TestRemoveOfWhatWasNeverMadeAsksNobody(t *testing.T) {
	cloud := resources.Cloud{AuthURL: "http://127.0.0.1:1/v3", Store: &resources.Store{Dir: t.TempDir()}}
	guest := Guest{Cloud: cloud, Memory: cloud.Memory("nova"), Name: "guest"}
	NewWithT(t).Expect(guest.Remove(t.Context())).To(Succeed())
}

func TestMakeSaysWhoMakesTheNetwork(t *testing.T) {
	cloud := resources.Cloud{AuthURL: "http://127.0.0.1:1/v3", Tag: "unit", Store: &resources.Store{Dir: t.TempDir()}}
	guest := Guest{Cloud: cloud, Memory: cloud.Memory("nova"), Name: "guest"}
	NewWithT(t).Expect(guest.Make(t.Context(), Options{})).To(MatchError(And(
		ContainSubstring("early_create"), ContainSubstring("[native-neutron] shared.network_id"))))
}
