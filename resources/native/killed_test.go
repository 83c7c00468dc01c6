//go:build cloud

package native_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	. "github.com/onsi/gomega"

	"grenade/resources"
	"grenade/resources/native"
)

// cutter stands between a check and a real cloud and loses the answer to the
// n-th write, after the cloud carried it out: for the cloud, the check was killed
// at that very moment.
type cutter struct {
	*httptest.Server
	cutAt  int64
	writes atomic.Int64
}

func newCutter(t *testing.T, cloud *resources.Cloud, cutAt int64) *cutter {
	t.Helper()
	c := &cutter{cutAt: cutAt}
	mux := http.NewServeMux()
	targets := map[string]string{"identity": strings.TrimSuffix(cloud.AuthURL, "/v3")}
	for _, service := range []string{"image", "placement", "network", "compute", "object-store"} {
		// A cloud need not have them all.
		if target := endpoint(t, *cloud, service); target != "" {
			// Swift's has the account in it, which is not always the administrator's.
			target, _, _ = strings.Cut(target, "/v1/AUTH_")
			targets[service] = strings.TrimSuffix(target, "v2.1/") // nova's: the check adds it
		}
	}
	overrides := map[string]string{}
	for name, target := range targets {
		address, err := url.Parse(target)
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		overrides[name] = "/" + name
		proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(address) }}
		mux.Handle("/"+name+"/", http.StripPrefix("/"+name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet && c.writes.Add(1) == c.cutAt {
				proxy.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
			proxy.ServeHTTP(w, r)
		})))
	}
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.Close)
	cloud.AuthURL = c.URL + "/identity/v3"
	cloud.Endpoints = map[string]string{}
	for name, path := range overrides {
		cloud.Endpoints[name] = c.URL + path
	}
	if _, ok := overrides["object-store"]; ok {
		cloud.Endpoints["object-store"] += "/v1/AUTH_$(project_id)s"
	}
	return c
}

// endpoint is a service's, or "" in a cloud that does not have it.
func endpoint(t *testing.T, cloud resources.Cloud, service string) string {
	t.Helper()
	provider, err := cloud.AsAdmin(t.Context())
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	client, err := cloud.Service(provider, service, "")
	var absent *gophercloud.ErrEndpointNotFound
	if errors.As(err, &absent) {
		return ""
	}
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return client.Endpoint
}

// TestRealDestroyFindsWhatAKilledCreateMade cuts create at each of its writes on
// a real cloud; destroy must then work from the store alone.
func TestRealDestroyFindsWhatAKilledCreateMade(t *testing.T) {
	for _, project := range slices.Sorted(maps.Keys(native.Checks(resources.Cloud{}))) {
		t.Run(project, func(t *testing.T) {
			cuts := 0
			lend := guestNetwork(t, project)
			for n := int64(1); ; n++ {
				g, ctx := NewWithT(t), t.Context()
				direct, inside := openCloud(t)
				lend(direct)
				cut := direct
				newCutter(t, &cut, n)
				if native.Checks(cut)[project].Create(ctx) == nil {
					g.Expect(native.Checks(direct)[project].Destroy(ctx)).To(Succeed())
					break
				}
				cuts++
				check := native.Checks(direct)[project]
				g.Expect(check.Destroy(ctx)).To(Succeed(), "after cut %d", n)
				g.Expect(leftRows(t, inside, direct.Tag)).To(BeEmpty(), "after cut %d", n)
				g.Expect(check.Destroy(ctx)).To(Succeed(), "again, after cut %d", n)
			}
			t.Logf("%s: create was cut at each of its %d writes", project, cuts)
			NewWithT(t).Expect(cuts).To(BeNumerically(">", 5))
		})
	}
}
