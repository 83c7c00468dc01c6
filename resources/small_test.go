package resources

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	. "github.com/onsi/gomega"
)

func TestWaitForEndsWhenTheObjectIsDone(t *testing.T) {
	looks := 0
	err := WaitFor(t.Context(), Wait{Object: "image 7", Every: time.Millisecond}, func(context.Context) (Progress, error) {
		looks++
		return Progress{Status: "saving", Done: looks == 3}, nil
	})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	NewWithT(t).Expect(looks).To(Equal(3))
}

func TestWaitForEndsAtOnceWhenTheObjectFailed(t *testing.T) {
	looks := 0
	err := WaitFor(t.Context(), Wait{Object: "volume 7", Every: time.Millisecond}, func(context.Context) (Progress, error) {
		looks++
		return Progress{Status: "ERROR", Failed: true, Fault: "no space left"}, nil
	})
	NewWithT(t).Expect(err).To(MatchError("wait for volume 7: it is in status ERROR: no space left"))
	NewWithT(t).Expect(looks).To(Equal(1))
}

func TestWaitForNamesObjectAndLastStatusWhenTimeIsUp(t *testing.T) {
	err := WaitFor(t.Context(), Wait{Object: "image 7", Limit: 20 * time.Millisecond, Every: time.Millisecond}, func(context.Context) (Progress, error) {
		return Progress{Status: "queued"}, nil
	})
	NewWithT(t).Expect(err).To(MatchError("wait for image 7: not done after 20ms, last seen status queued"))
}

func TestWaitForHeedsTheCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := WaitFor(ctx, Wait{Object: "image 7", Limit: time.Hour, Every: time.Millisecond}, func(context.Context) (Progress, error) {
		cancel()
		return Progress{Status: "queued"}, nil
	})
	NewWithT(t).Expect(errors.Is(err, context.Canceled)).To(BeTrue())
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("status queued")))
}

func TestCreateBeginsAfresh(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	m := &Memory{Store: &Store{Dir: t.TempDir()}, Section: "s"}
	g.Expect(m.Store.Save(ctx, "s", map[string]string{"image": "7", "early.network": "8"})).To(Succeed())
	stays := func() string {
		image, _, err := m.Store.Get("s", "image")
		g.Expect(err).NotTo(HaveOccurred())
		network, _, err := m.Store.Get("s", "early.network")
		g.Expect(err).NotTo(HaveOccurred())
		return image + " " + network
	}
	removed := 0
	remove := func(context.Context) error { removed++; return nil }

	g.Expect(Afresh(ctx, Cloud{}, m, remove, "early.")).To(MatchError(ErrNoTag))
	g.Expect(removed).To(BeZero(), "whose would it be?")
	busy := errors.New("image 7 is in use")
	g.Expect(Afresh(ctx, Cloud{Tag: "t"}, m, func(context.Context) error { return busy }, "early.")).To(MatchError(busy))
	g.Expect(stays()).To(Equal("7 8"), "what is still there must not be forgotten")
	g.Expect(Afresh(ctx, Cloud{Tag: "t"}, m, remove, "early.")).To(Succeed())
	g.Expect(removed).To(Equal(1))
	g.Expect(stays()).To(Equal(" 8"))
}

func TestShelledRunsTheScriptWithThePhase(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	dir := t.TempDir()
	g.Expect(os.WriteFile(filepath.Join(dir, "resources.sh"), nil, 0o600)).To(Succeed())
	var ran []string
	failed := errors.New("exit 3")
	check := Shelled{Dir: dir, Run: func(_ context.Context, args ...string) error {
		ran = append(ran, strings.Join(args, " "))
		return failed
	}}
	for _, err := range []error{
		check.EarlyCreate(ctx), check.Create(ctx), check.Verify(ctx, PreUpgrade),
		check.VerifyNoAPI(ctx, PreUpgrade), check.Verify(ctx, PostUpgrade), check.Destroy(ctx),
	} {
		g.Expect(errors.Is(err, failed)).To(BeTrue())
	}
	g.Expect(ran).To(Equal([]string{"early_create", "create", "verify pre-upgrade", "verify_noapi pre-upgrade", "verify post-upgrade", "destroy"}))
}

func TestShelledWithoutAScriptIsNotChecked(t *testing.T) {
	check := Shelled{Dir: t.TempDir(), Run: func(context.Context, ...string) error {
		t.Error("there is nothing to run")
		return nil
	}}
	var reason *NotChecked
	NewWithT(t).Expect(errors.As(check.Verify(t.Context(), PostUpgrade), &reason)).To(BeTrue())
	NewWithT(t).Expect(reason.Reason).To(ContainSubstring("no resources.sh"))
}

// The documents are the forms that the services answer with (shortened).
func TestMaximumVersionReadsEveryFormOfTheDocument(t *testing.T) {
	for name, c := range map[string]struct {
		status   int
		document string
		want     string
	}{
		"keystone /v3":     {200, `{"version": {"id": "v3.14", "status": "stable"}}`, "3.14"},
		"keystone /":       {300, `{"versions": {"values": [{"id": "v3.14", "status": "stable"}]}}`, "3.14"},
		"glance /versions": {200, `{"versions": [{"id": "v2.9"}, {"id": "v2.15"}, {"id": "v2.0"}]}`, "2.15"},
		"placement /":      {200, `{"versions": [{"id": "v1.0", "max_version": "1.39", "min_version": "1.0"}]}`, "1.39"},
		"nova /v2.1":       {200, `{"version": {"id": "v2.1", "version": "2.93", "min_version": "2.1"}}`, "2.93"},
		"a bare entry":     {200, `{"id": "v1.0", "max_version": "1.39"}`, "1.39"},
		"no version":       {200, `{"versions": []}`, ""},
		"not there":        {503, `{"versions": [{"id": "v1.0"}]}`, ""},
		"no JSON":          {200, `<html>`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.document))
			}))
			defer fake.Close()
			v, err := Cloud{}.MaximumVersion(t.Context(), fake.URL)
			if c.want == "" {
				NewWithT(t).Expect(err).To(HaveOccurred())
				return
			}
			NewWithT(t).Expect(err).NotTo(HaveOccurred())
			NewWithT(t).Expect(v.String()).To(Equal(c.want))
		})
	}
}

func TestTheMaximumVersionMayRiseWithTheUpgradeAndNeverFall(t *testing.T) {
	now := ""
	fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"versions": [{"id": "v1.0", "max_version": "` + now + `"}]}`))
	}))
	defer fake.Close()
	m := &Memory{Store: &Store{Dir: t.TempDir()}, Section: "s"}
	now = "1.39"
	NewWithT(t).Expect(m.RecordVersion(t.Context(), Cloud{}, fake.URL)).To(Succeed())
	for _, c := range []struct {
		now   string
		stage Stage
		green bool
	}{
		{"1.39", PreUpgrade, true}, {"1.40", PreUpgrade, false}, {"1.9", PreUpgrade, false},
		{"1.39", PostUpgrade, true}, {"1.40", PostUpgrade, true}, {"2.0", PostUpgrade, true},
		{"1.38", PostUpgrade, false}, {"1.4", PostUpgrade, false}, {"0.99", PostUpgrade, false},
	} {
		now = c.now
		err := m.CompareVersion(t.Context(), Cloud{}, fake.URL, c.stage)
		var difference *Difference
		NewWithT(t).Expect(err == nil).To(Equal(c.green), "%s %s: %v", c.stage, c.now, err)
		NewWithT(t).Expect(c.green || errors.As(err, &difference)).To(BeTrue())
	}
}

func TestConfigIsReadAsOsloReadsIt(t *testing.T) {
	g := NewWithT(t)
	config := parseConfig("a = before any section\n# b = 1\n[one]\nx = 1 = 2\n  continued\nx=3\r\n;y = 4\n[two words]\ny =\n")
	g.Expect(config.Get("DEFAULT", "a", "")).To(Equal("before any section"))
	g.Expect(config.Get("DEFAULT", "b", "unset")).To(Equal("unset"))
	g.Expect(config.Get("one", "x", "")).To(Equal("3"))
	g.Expect(config.Get("two words", "y", "default")).To(Equal("default"))
}

func TestQuoteLetsOnlyIdsThrough(t *testing.T) {
	g := NewWithT(t)
	g.Expect(Quote("0af-9_Z")).To(Equal("'0af-9_Z'"))
	for _, text := range []string{"", "a'b", "a b", "a;", `a\`, "é"} {
		_, err := Quote(text)
		g.Expect(err).To(HaveOccurred(), text)
	}
}

func TestACatalogMayKnowTheVolumeAPIByItsOlderType(t *testing.T) {
	g := NewWithT(t)
	catalog := map[string]string{"volumev3": "http://c/volume/v3", "image": "http://c/image"}
	provider := &gophercloud.ProviderClient{EndpointLocator: func(options gophercloud.EndpointOpts) (string, error) {
		if url := catalog[options.Type]; url != "" {
			return url, nil
		}
		return "", &gophercloud.ErrEndpointNotFound{}
	}}
	client, err := Cloud{}.Service(provider, "block-storage", "")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(client.Endpoint).To(Equal("http://c/volume/v3/"))
	catalog["block-storage"] = "http://c/new"
	client, err = Cloud{}.Service(provider, "block-storage", "")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(client.Endpoint).To(Equal("http://c/new/"))
	_, err = Cloud{}.Service(provider, "network", "")
	var absent *gophercloud.ErrEndpointNotFound
	g.Expect(errors.As(err, &absent)).To(BeTrue())
	g.Expect(err).To(MatchError(ContainSubstring("network")))
}
