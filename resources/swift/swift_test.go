package swift

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/objects"
	. "github.com/onsi/gomega"

	"grenade/resources"
)

func TestAVersionMayNotFall(t *testing.T) {
	for _, c := range []struct {
		earlier, now string
		fell         bool
	}{
		{"2.30.1", "2.30.1", false}, {"2.30.1", "2.35.1", false}, {"2.30.1", "2.31", false}, {"2.30.1", "3.0.0", false},
		{"2.30.1", "2.9.9", true}, {"2.30.1", "2.30.0", true}, {"2.30.1", "2.30", true}, {"2.30.1", "1.99", true}, {"2.30.1", "", true},
		{"2.36.0.dev12", "2.36.0", false}, {"2.36.0.dev12", "2.35.9", true},
	} {
		NewWithT(t).Expect(fell(c.earlier, c.now)).To(Equal(c.fell), "%s, then %s", c.earlier, c.now)
	}
}

func TestAListInInfoMayGrowAndNotShrink(t *testing.T) {
	now := ""
	client := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"swift": {"version": "2.30.1"}, "tempurl": {"methods": [`+now+`]}}`)
	}))
	cloud := resources.Cloud{Store: &resources.Store{Dir: t.TempDir()}}
	s := &session{check: &check{cloud: cloud, memory: cloud.Memory(Project)}, owner: client}
	now = `"GET", "PUT"`
	NewWithT(t).Expect(s.recordInfo(t.Context())).To(Succeed())
	for _, c := range []struct {
		now   string
		stage resources.Stage
		green bool
	}{
		{`"PUT", "GET"`, resources.PreUpgrade, true}, {`"PUT", "GET", "POST"`, resources.PostUpgrade, true},
		{`"PUT", "GET", "POST"`, resources.PreUpgrade, false}, {`"GET"`, resources.PostUpgrade, false},
	} {
		now = c.now
		NewWithT(t).Expect(s.compareInfo(t.Context(), c.stage) == nil).To(Equal(c.green), "%s %s", c.now, c.stage)
	}
}

func clientOf(t *testing.T, handler http.Handler) *gophercloud.ServiceClient {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{}, Endpoint: server.URL + "/v1/AUTH_p/", Type: serviceType}
}

func TestWhatSwiftSaysOfAnObjectIsAFinding(t *testing.T) {
	for _, c := range []struct {
		status  int
		finding bool
	}{
		{http.StatusNotFound, true}, // its file is in quarantine
		{http.StatusConflict, true}, // a segment is gone
		{http.StatusUnprocessableEntity, true},
		{http.StatusServiceUnavailable, false},
		{http.StatusInternalServerError, false},
	} {
		client := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(c.status) }))
		_, err := download(t.Context(), client, "c", "o", objects.DownloadOpts{})
		NewWithT(t).Expect(resources.IsGone(err)).To(Equal(c.finding), "%d: %v", c.status, err)
	}
}

func TestADownloadThatBreaksOffIsAFinding(t *testing.T) {
	client := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "too little")
	}))
	_, err := download(t.Context(), client, "c", "o", objects.DownloadOpts{})
	NewWithT(t).Expect(resources.IsGone(err)).To(BeTrue(), "%v", err)
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("breaks off after 10 bytes")))
}

func TestTheNumberOfARequestIsNotCompared(t *testing.T) {
	kept := headers(http.Header{"Date": {"today"}, "X-Trans-Id": {"tx1"}, "X-Openstack-Request-Id": {"tx1"}, "Etag": {"e"}, "X-Object-Meta-Note": {"é"}})
	NewWithT(t).Expect(kept).To(Equal(map[string]any{"etag": "e", "x-object-meta-note": "é", "set_by_users": []string{"x-object-meta-note"}}))
}

func TestWhatUsersSetIsListed(t *testing.T) {
	kept := headers(http.Header{
		"X-Container-Write": {"p:u"}, "X-Container-Read": {"p:u"}, "X-Container-Meta-Note": {"n"}, "X-Account-Meta-A": {"a"},
		"X-Container-Object-Count": {"1"}, "X-Timestamp": {"1"}, "X-Manifest-Etag": {"e"},
	})
	NewWithT(t).Expect(kept["set_by_users"]).To(Equal([]string{"x-account-meta-a", "x-container-meta-note", "x-container-read", "x-container-write"}))
}

func TestAKeyIsComparedAndNotShown(t *testing.T) {
	kept := headers(http.Header{"X-Container-Meta-Temp-Url-Key": {"secret"}})
	NewWithT(t).Expect(kept).To(HaveKeyWithValue("x-container-meta-temp-url-key", HavePrefix("sha256:")))
	NewWithT(t).Expect(headers(http.Header{"X-Container-Meta-Temp-Url-Key": {"another"}})).NotTo(Equal(kept))
}

func TestAWayToAnotherAccount(t *testing.T) {
	g := NewWithT(t)
	client := &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{}, Endpoint: "http://s:8080/v1/AUTH_mine/"}
	g.Expect(accountOf(client)).To(Equal("AUTH_mine"))
	g.Expect(address(foreign(client, "AUTH_his"), "a=b", "c/d", "é %")).To(Equal("http://s:8080/v1/AUTH_his/c%2Fd/%C3%A9%20%25?a=b"))
	g.Expect(address(client, "")).To(Equal("http://s:8080/v1/AUTH_mine"))
}

func TestEachVersionInAListHasAnIdOfItsOwn(t *testing.T) {
	client := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `[{"name": "o", "version_id": "1"}, {"name": "o", "version_id": "2"}, {"name": "plain"}]`)
	}))
	list, err := listing(t.Context(), client, "", "c")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	ids := []any{}
	for _, entry := range list {
		ids = append(ids, entry["id"])
	}
	NewWithT(t).Expect(ids).To(Equal([]any{"o?1", "o?2", "plain"}))
}

// fakeBench is a container in which one object can be written and read.
type fakeBench struct {
	mu      sync.Mutex
	content string
	// forgets is how many writes it acknowledges and drops.
	forgets int
	// dies counts down to the write whose answer is lost, with all that follow.
	dies int
}

func (f *fakeBench) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Method == http.MethodGet {
		_, _ = io.WriteString(w, f.content)
		return
	}
	body, _ := io.ReadAll(r.Body)
	if f.forgets > 0 {
		f.forgets--
	} else {
		f.content = string(body)
	}
	if f.dies--; f.dies == 0 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusCreated)
}

func (f *fakeBench) change(how func(*fakeBench)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how(f)
}

func benchSession(t *testing.T) (*session, *fakeBench) {
	t.Helper()
	fake := &fakeBench{content: "old"}
	cloud := resources.Cloud{Tag: "t", Store: &resources.Store{Dir: t.TempDir()}}
	return &session{
		check: &check{cloud: cloud, memory: cloud.Memory(Project)}, friend: clientOf(t, fake), saved: map[string]string{keyScratch: "old"},
	}, fake
}

func TestRewritingCanBeRepeated(t *testing.T) {
	s, fake := benchSession(t)
	for range 3 {
		NewWithT(t).Expect(s.rewrite(t.Context())).To(Succeed())
	}
	fake.change(func(f *fakeBench) { NewWithT(t).Expect(f.content).To(Equal("old")) })
}

func TestRewritingSurvivesAVerifyThatWasKilledInIt(t *testing.T) {
	s, fake := benchSession(t)
	fake.change(func(f *fakeBench) { f.dies = 1 })
	NewWithT(t).Expect(s.rewrite(t.Context())).NotTo(Succeed())
	fake.change(func(f *fakeBench) { NewWithT(t).Expect(f.content).NotTo(Equal("old")) })
	NewWithT(t).Expect(s.rewrite(t.Context())).To(Succeed())
}

func TestRewritingSeesALostWriteAndALostObject(t *testing.T) {
	for _, how := range []func(*fakeBench){
		func(f *fakeBench) { f.forgets = 1 },
		func(f *fakeBench) { f.content = "somebody else's" },
	} {
		s, fake := benchSession(t)
		fake.change(how)
		err := s.rewrite(t.Context())
		NewWithT(t).Expect(err).To(MatchError(ContainSubstring("afterwards: ")))
	}
}

func TestAFailingServersAnswerIsNoVerdict(t *testing.T) {
	refused := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	broken := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	try := func(client *gophercloud.ServiceClient) (any, error) {
		_, err := download(context.WithoutCancel(t.Context()), client, "c", "o", objects.DownloadOpts{})
		return status(err)
	}
	seen, err := try(refused)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	NewWithT(t).Expect(seen).To(Equal(map[string]any{"status": http.StatusForbidden}))
	_, err = try(broken)
	NewWithT(t).Expect(err).To(HaveOccurred())
}

func TestHiddenNamesAreReadable(t *testing.T) {
	c := &check{cloud: resources.Cloud{Tag: "t"}, memory: (resources.Cloud{}).Memory(Project)}
	i := &inside{check: c}
	NewWithT(t).Expect(i.label("\x00versions\x00" + c.container(versions))).To(Equal("·versions·versions"))
	NewWithT(t).Expect(strings.ContainsRune(i.label("\x00o\x001"), 0)).To(BeFalse())
}
