package cinder

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	. "github.com/onsi/gomega"

	"grenade/framework/node"
	"grenade/resources"
)

// fakeCinder has one volume, which shows one status after the other, and one
// message about it. It answers for nova, too, whose last action failed.
type fakeCinder struct {
	statuses []string
	looks    int
}

func (f *fakeCinder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	var answer any
	switch r.URL.Path {
	case "/v3/volumes/4711":
		status := f.statuses[min(f.looks, len(f.statuses)-1)]
		f.looks++
		answer = map[string]any{"volume": map[string]any{"id": "4711", "status": status}}
	case "/v3/messages":
		if r.URL.Query().Get("resource_uuid") != "4711" || r.URL.Query().Get("resource_type") != "VOLUME" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		answer = map[string]any{"messages": []any{map[string]any{"user_message": "schedule allocate volume:Could not find any available weighted backend."}}}
	case "/servers/815/os-instance-actions":
		answer = map[string]any{"instanceActions": []any{map[string]any{"request_id": "req-1", "action": "attach_volume"}}}
	case "/servers/815/os-instance-actions/req-1":
		answer = map[string]any{"instanceAction": map[string]any{
			"request_id": "req-1", "action": "attach_volume", "message": "Error",
			"events": []any{map[string]any{"event": "compute_attach_volume", "result": "Error"}},
		}}
	default:
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func newFakeSession(t *testing.T, statuses ...string) *session {
	t.Helper()
	fake := httptest.NewServer(&fakeCinder{statuses: statuses})
	t.Cleanup(fake.Close)
	store := &resources.Store{Dir: t.TempDir()}
	c := &check{cloud: resources.Cloud{Store: store, Tag: "unit"}}
	c.memory = c.cloud.Memory(Project)
	NewWithT(t).Expect(c.memory.Save(t.Context(), map[string]string{keyVolume(dataVolume): "4711", "guest.server_id": "815"})).To(Succeed())
	provider := &gophercloud.ProviderClient{}
	return &session{
		check:   c,
		storage: &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: fake.URL + "/v3/", Type: "block-storage", Microversion: microversion},
		compute: &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: fake.URL + "/", Type: "compute"},
	}
}

func TestAVolumeInErrorEndsTheWaitWithWhatCinderAndNovaSay(t *testing.T) {
	for _, status := range []string{"error", "error_attaching", "error_extending", "error_deleting"} {
		s := newFakeSession(t, "creating", status)
		began := time.Now()
		_, err := s.awaitVolume(t.Context(), dataVolume, "available")
		g := NewWithT(t)
		g.Expect(err).To(MatchError(And(
			ContainSubstring("volume 4711 (grenade-unit-native-cinder-data)"), ContainSubstring("status "+status+":"),
			ContainSubstring("cinder: schedule allocate volume:Could not find any available weighted backend."),
			ContainSubstring("nova: attach_volume: Error"), ContainSubstring("compute_attach_volume: failed"))))
		g.Expect(time.Since(began)).To(BeNumerically("<", 5*time.Second))
	}
}

func TestAVolumeThatFallsBackIsNotWaitedFor(t *testing.T) {
	for name, c := range map[string]struct {
		statuses []string
		wanted   string
		ok       bool
	}{
		"attached":                    {[]string{"available", "reserved", "attaching", "in-use"}, "in-use", true},
		"nova took its reservation":   {[]string{"reserved", "available"}, "in-use", false},
		"detached":                    {[]string{"detaching", "available"}, "available", true},
		"the guest did not let it go": {[]string{"detaching", "in-use"}, "available", false},
		"made from an image":          {[]string{"creating", "downloading", "available"}, "available", true},
		"extended":                    {[]string{"extending", "available"}, "available", true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newFakeSession(t, c.statuses...).awaitVolume(t.Context(), dataVolume, c.wanted)
			NewWithT(t).Expect(err == nil).To(Equal(c.ok), "%v", err)
		})
	}
}

func TestQuotasOfOtherTypesAreNotCompared(t *testing.T) {
	NewWithT(t).Expect(ownQuota(map[string]any{
		"id": "p", "volumes": 1, "gigabytes": 2, "backup_gigabytes": 3, "volumes_mine": 4, "gigabytes_mine": 5, "snapshots_other": 6, "volumes_mine2": 7,
	}, "mine")).To(Equal(map[string]any{
		"id": "p", "volumes": 1, "gigabytes": 2, "backup_gigabytes": 3, "volumes_mine": 4, "gigabytes_mine": 5,
	}))
}

func TestVersionDocumentIsAboveTheProject(t *testing.T) {
	for _, endpoint := range []string{"http://c/volume/v3/", "http://c/volume/v3/0123abc/"} {
		s := &session{storage: &gophercloud.ServiceClient{Endpoint: endpoint}}
		NewWithT(t).Expect(s.versions()).To(Equal("http://c/volume/"))
	}
}

// TestRegionsFit is about the numbers: a region outside its volume, or two that
// overlap, would be a test of nothing.
func TestRegionsFit(t *testing.T) {
	for _, what := range []string{dataVolume, layeredVolume} {
		end := int64(0)
		for _, r := range regions(what) {
			g := NewWithT(t)
			g.Expect(r.offset).To(BeNumerically(">=", end), "%s %s", what, r.name)
			end = r.offset + r.length
			g.Expect(end).To(BeNumerically("<=", volumeSize*gib), "%s %s", what, r.name)
			g.Expect([]int64{r.offset % 512, r.length % 512}).To(Equal([]int64{0, 0}))
		}
	}
	NewWithT(t).Expect(regions(layeredVolume)[0].offset).To(BeZero(), "layersReader reads from the beginning only")
}

func newInside(t *testing.T) *inside {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("scripts run as root in the node; this test runs them here")
	}
	return &inside{Inside: &resources.Inside{Node: node.NewLocal("unit", "127.0.0.1")}}
}

func TestVolumeFileIsLookedAt(t *testing.T) {
	g, i := NewWithT(t), newInside(t)
	file := filepath.Join(t.TempDir(), "volume-4711")
	g.Expect(os.WriteFile(file, []byte(strings.Repeat("a", 512)+strings.Repeat("b", 1024)), 0o600)).To(Succeed())
	look := func() *volumeFile {
		seen, err := i.volumeFile(t.Context(), file, "no-such-server", rawReader, []region{{"one", 0, 512}, {"two", 512, 1024}})
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		found, ok := seen.(*volumeFile)
		NewWithT(t).Expect(ok).To(BeTrue())
		return found
	}
	before := look()
	g.Expect(before.Bytes).To(Equal("1536"))
	g.Expect(before.Open).To(Equal("by nobody who runs the server"))
	g.Expect(before.Regions).To(Equal(sums{"one": hash([]byte(strings.Repeat("a", 512))), "two": hash([]byte(strings.Repeat("b", 1024)))}))

	g.Expect(os.WriteFile(file+".new", []byte(strings.Repeat("a", 512)+strings.Repeat("b", 1024)), 0o600)).To(Succeed())
	g.Expect(os.Rename(file+".new", file)).To(Succeed())
	g.Expect(look().Inode).NotTo(Equal(before.Inode), "another file took its place")

	_, err := i.volumeFile(t.Context(), file+"-gone", "no-such-server", rawReader, nil)
	g.Expect(resources.IsGone(err)).To(BeTrue(), "%v", err)
}

func TestAServerWithoutQEMUIsAFinding(t *testing.T) {
	_, err := newInside(t).qemu(t.Context(), "no-such-server")
	NewWithT(t).Expect(resources.IsGone(err)).To(BeTrue(), "%v", err)
	NewWithT(t).Expect(fmt.Sprint(err)).To(ContainSubstring("0 processes of qemu run server no-such-server"))
}
