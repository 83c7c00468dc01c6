package placement

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	. "github.com/onsi/gomega"

	"grenade/resources"
)

// fakePlacement is one resource provider's inventories, with generations.
type fakePlacement struct {
	mu         sync.Mutex
	generation int
	total      float64
	// ignoresGenerations is the bug that the writer is there to find.
	ignoresGenerations bool
	// losesAnswer drops the connection after the next write was carried out.
	losesAnswer bool
}

func (f *fakePlacement) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Method == http.MethodPut {
		var body struct {
			Generation  int                           `json:"resource_provider_generation"`
			Inventories map[string]map[string]float64 `json:"inventories"`
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		if body.Generation != f.generation && !f.ignoresGenerations {
			w.WriteHeader(http.StatusConflict)
			return
		}
		f.generation++
		f.total = body.Inventories[writerClass]["total"]
		if f.losesAnswer {
			f.losesAnswer = false
			panic(http.ErrAbortHandler)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"resource_provider_generation": f.generation,
		"inventories": map[string]any{writerClass: map[string]any{
			"total": f.total, "reserved": 0, "min_unit": 1, "max_unit": 10, "step_size": 1, "allocation_ratio": 1,
		}},
	})
}

// now returns the generation.
func (f *fakePlacement) now() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.generation
}

// change changes the fake between two phases.
func (f *fakePlacement) change(how func(*fakePlacement)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how(f)
}

func writerSession(t *testing.T) (*session, *fakePlacement) {
	t.Helper()
	fake := &fakePlacement{generation: firstWriterGeneration, total: writerTotal}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	cloud := resources.Cloud{Store: &resources.Store{Dir: t.TempDir()}}
	s := &session{
		check:  &check{cloud: cloud, memory: cloud.Memory(Project)},
		admin:  &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{}, Endpoint: server.URL + "/", Microversion: microversion, Type: "placement"},
		chosen: map[string]string{keyWriter: "w", keyName: "provider"},
	}
	NewWithT(t).Expect(s.recordWriter(t.Context())).To(Succeed())
	return s, fake
}

func expectChange(t *testing.T, err error, attribute string) {
	t.Helper()
	var difference *resources.Difference
	NewWithT(t).Expect(errors.As(err, &difference)).To(BeTrue(), "%v", err)
	NewWithT(t).Expect(difference.Changes[0].Attribute).To(Equal(attribute))
}

func TestTheWriterCanBeVerifiedAgainAndAgain(t *testing.T) {
	s, fake := writerSession(t)
	for range 2 {
		NewWithT(t).Expect(s.verifyWriter(t.Context(), resources.PreUpgrade)).To(Succeed())
	}
	NewWithT(t).Expect(fake.now()).To(Equal(firstWriterGeneration), "nothing is written before the upgrade")
	for range 3 {
		NewWithT(t).Expect(s.verifyWriter(t.Context(), resources.PostUpgrade)).To(Succeed())
	}
	NewWithT(t).Expect(fake.now()).To(Equal(firstWriterGeneration + 3))
}

func TestTheWriterSurvivesAVerifyThatWasKilledInItsWrite(t *testing.T) {
	s, fake := writerSession(t)
	fake.change(func(f *fakePlacement) { f.losesAnswer = true })
	NewWithT(t).Expect(s.verifyWriter(t.Context(), resources.PostUpgrade)).NotTo(Succeed())
	NewWithT(t).Expect(fake.now()).To(Equal(firstWriterGeneration+1), "the write was carried out, nobody heard of it")
	for range 2 {
		NewWithT(t).Expect(s.verifyWriter(t.Context(), resources.PostUpgrade)).To(Succeed())
	}
}

func TestTheWriterSeesThatAStaleWriteIsAccepted(t *testing.T) {
	s, fake := writerSession(t)
	fake.change(func(f *fakePlacement) { f.ignoresGenerations = true })
	expectChange(t, s.verifyWriter(t.Context(), resources.PostUpgrade), "writer_provider: write with stale generation 0")
}

func TestTheWriterSeesALostWrite(t *testing.T) {
	s, fake := writerSession(t)
	NewWithT(t).Expect(s.verifyWriter(t.Context(), resources.PostUpgrade)).To(Succeed())
	fake.change(func(f *fakePlacement) { f.generation-- })
	expectChange(t, s.verifyWriter(t.Context(), resources.PostUpgrade), "writer_provider.generation")
}

func TestTheWriterSeesAValueThatNobodyWrote(t *testing.T) {
	s, fake := writerSession(t)
	fake.change(func(f *fakePlacement) { f.total++ })
	expectChange(t, s.verifyWriter(t.Context(), resources.PreUpgrade), "writer_provider.inventories")
}
