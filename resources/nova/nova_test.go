package nova

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	. "github.com/onsi/gomega"

	"grenade/resources"
)

func TestThePublicKeyIsOneThatOpenSSHReads(t *testing.T) {
	g := NewWithT(t)
	key, fingerprint, err := publicKey("somebody")
	g.Expect(err).NotTo(HaveOccurred())
	fields := strings.Split(key, " ")
	g.Expect(fields).To(HaveLen(3))
	g.Expect(fields[0]).To(Equal("ssh-ed25519"))
	g.Expect(fields[2]).To(Equal("somebody"))
	// The same 19 bytes are at the beginning of every key of this kind.
	g.Expect(fields[1]).To(HavePrefix("AAAAC3NzaC1lZDI1NTE5AAAAI"))
	blob, err := base64.StdEncoding.DecodeString(fields[1])
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(blob).To(HaveLen(4 + len("ssh-ed25519") + 4 + 32))
	sum := md5.Sum(blob)
	g.Expect(strings.ReplaceAll(fingerprint, ":", "")).To(Equal(hex.EncodeToString(sum[:])))
	g.Expect(fingerprint).To(MatchRegexp(`^([0-9a-f]{2}:){15}[0-9a-f]{2}$`))
}

func TestTheDatabaseOfAConnection(t *testing.T) {
	for connection, want := range map[string]string{
		"mysql+pymysql://nova:secret@127.0.0.1/nova_cell1?charset=utf8": "nova_cell1",
		"mysql+pymysql://nova:secret@127.0.0.1:3306/nova":               "nova",
		"none:///": "",
		"":         "",
	} {
		NewWithT(t).Expect(databaseOf(connection)).To(Equal(want), connection)
	}
}

func TestNothingIsCreatedWithoutATag(t *testing.T) {
	check := New(resources.Cloud{AuthURL: "http://127.0.0.1:1/v3", Store: &resources.Store{Dir: t.TempDir()}})
	NewWithT(t).Expect(check.Create(t.Context())).To(MatchError(resources.ErrNoTag))
}

func TestDestroyOfWhatWasNeverMadeAsksNobody(t *testing.T) {
	check := New(resources.Cloud{AuthURL: "http://127.0.0.1:1/v3", Tag: "unit", Store: &resources.Store{Dir: t.TempDir()}})
	NewWithT(t).Expect(check.Destroy(t.Context())).To(Succeed())
}

// fakeCheck knows a guest at an address and nothing else.
func fakeCheck(t *testing.T, address string) *check {
	t.Helper()
	cloud := resources.Cloud{Store: &resources.Store{Dir: t.TempDir()}}
	c := &check{cloud: cloud, memory: cloud.Memory(Project)}
	NewWithT(t).Expect(c.memory.Save(t.Context(), map[string]string{"guest.address": address, keyUptime: "1m0s"})).To(Succeed())
	return c
}

func TestAGuestThatStartedAnewHasLessUptime(t *testing.T) {
	uptime := "61.5"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("boot_id=1\nuptime=" + uptime + "\n"))
	}))
	defer server.Close()
	g, ctx := NewWithT(t), t.Context()
	c := fakeCheck(t, strings.TrimPrefix(server.URL, "http://"))
	g.Expect(c.compareUptime(ctx, resources.PostUpgrade)).To(Succeed())
	uptime = "59.5"
	g.Expect(c.compareUptime(ctx, resources.PostUpgrade)).To(MatchError(ContainSubstring("guest.uptime: 1m0s or more → 59.5s")))
}

func TestASilentGuestIsGoneAndACancelledQuestionIsNot(t *testing.T) {
	g := NewWithT(t)
	c := fakeCheck(t, "127.0.0.1:1")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := c.answer(ctx)
	g.Expect(err).To(HaveOccurred())
	g.Expect(resources.IsGone(err)).To(BeFalse(), "nobody waited long enough to say so: %v", err)
}

// at asks a nova there.
func at(url string) *gophercloud.ServiceClient {
	return &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{}, Endpoint: url + "/", Type: "compute"}
}

func TestActionsAreWaitedForUntilTheirEndIsNoted(t *testing.T) {
	finish := `null`
	looks := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/os-instance-actions") {
			_, _ = w.Write([]byte(`{"instanceActions": [{"action": "create", "request_id": "req-1"}]}`))
			return
		}
		looks++
		if looks == 2 {
			finish = `"2026-01-01T00:00:00.000000"`
		}
		_, _ = w.Write([]byte(`{"instanceAction": {"action": "create", "request_id": "req-1", "events": [{"event": "run", "finish_time": ` + finish + `}]}}`))
	}))
	defer server.Close()
	s := &session{server: "4711", compute: at(server.URL)}
	g := NewWithT(t)
	ids, err := s.finishedActions(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(ids).To(Equal([]string{"req-1"}))
	g.Expect(looks).To(Equal(2))
}

// An undisturbed run was red for it, when nova-compute took a minute from its shutdown to its first report.
func TestAHostThatHasNotReportedYetIsWaitedFor(t *testing.T) {
	looks := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		looks++
		status := "UNKNOWN"
		if looks == 3 {
			status = "UP"
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"server": {"id": "4711", "host_status": "` + status + `"}}`))
	}))
	defer server.Close()
	s := &session{server: "4711", admin: at(server.URL)}
	g := NewWithT(t)
	seen, err := s.seenByAdmin(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(seen).To(HaveKeyWithValue("host_status", "UP"))
	g.Expect(looks).To(Equal(3))
}
