package debstack

import (
	"testing"
	"testing/fstest"

	. "github.com/onsi/gomega"
)

// libs makes a tree of libs from name and header.
func libs(headers map[string]string) Tree {
	files := fstest.MapFS{}
	for name, text := range headers {
		files["lib/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return Tree{files: files}
}

func TestServiceHeader(t *testing.T) {
	g := NewWithT(t)
	services, err := libs(map[string]string{
		"keystone": "# requires:\n",
		"neutron": `# lib/neutron: the Networking service. Note: it needs a datapath.
#
# requires: keystone
# services: q-svc q-agt
# packages: neutron-server
# packages: neutron-l3-agent
# packages-since: 2025.1 neutron-periodic-workers
# helpers: neutron-l3-agent: haproxy radvd
# units: neutron-api.service neutron-rpc-server
# units-added: neutron-periodic-workers: split off from the API: since 2024.2
# units-removed: neutron-server.service: replaced by uWSGI
# units-own: neutron-watch: no package has it
# port: 9696
# health: /healthcheck
# config: neutron/neutron.conf neutron/plugins
# state: neutron
# shellcheck shell=bash

set_up() { :; }
# port: 1
`,
	}).Services()
	g.Expect(err).NotTo(HaveOccurred())
	neutron, ok := services.Find("neutron")
	g.Expect(ok).To(BeTrue())
	g.Expect(neutron).To(Equal(Service{
		Name: "neutron", File: "lib/neutron", Requires: []string{"keystone"}, Services: []string{"q-svc", "q-agt"},
		Packages: []string{"neutron-server", "neutron-l3-agent"}, Units: []string{"neutron-api", "neutron-rpc-server"},
		UnitsAdded:    map[string]string{"neutron-periodic-workers": "split off from the API: since 2024.2"},
		UnitsRemoved:  map[string]string{"neutron-server": "replaced by uWSGI"},
		UnitsOwn:      map[string]string{"neutron-watch": "no package has it"},
		NotWith:       map[string]string{},
		PackagesSince: map[string][]string{"2025.1": {"neutron-periodic-workers"}},
		Helpers:       map[string][]string{"neutron-l3-agent": {"haproxy", "radvd"}},
		Port:          9696, Health: "/healthcheck", Config: []string{"neutron/neutron.conf", "neutron/plugins"}, State: []string{"neutron"},
	}))
	g.Expect(neutron.Tree("2022.2", nil).Units).To(Equal([]string{"neutron-api", "neutron-rpc-server", "neutron-watch"}))
	g.Expect(services.Packages("2022.2")).To(Equal([]string{"neutron-l3-agent", "neutron-server"}))
	g.Expect(services.Packages("2026.1")).To(Equal([]string{"neutron-l3-agent", "neutron-periodic-workers", "neutron-server"}))
}

func TestServiceHeaderMistakesAreReportedTogether(t *testing.T) {
	g := NewWithT(t)
	_, err := libs(map[string]string{
		"glance": "# requires: keystone\n# require: x\n# port: http\n# packages-since: x\n# helpers: x\n# health: healthy\n# leaves: notes\n",
		"nova":   "# what it is\n# units-added: nova-x\n# requires: neutrom\n",
	}).Services()
	g.Expect(err).To(MatchError(ErrSetting))
	g.Expect(err).To(MatchError(And(
		ContainSubstring(`lib/glance:2: "require" is not among the keys`), ContainSubstring(`lib/glance:3: port "http"`),
		ContainSubstring(`lib/glance:4: "x" is not "<release number> <package>…"`), ContainSubstring(`lib/glance:5: "x" is not "<unit>: <program>…"`),
		ContainSubstring(`lib/glance:6: "healthy" is not the path of a URL`),
		ContainSubstring(`lib/glance:7: "notes" is not "<kind> <name>: <reason>"`),
		ContainSubstring(`lib/nova:2: "nova-x" is not "<unit>: <reason>"`), ContainSubstring("requires neutrom, but the tree has no lib/neutrom"),
		ContainSubstring("requires keystone, but the tree has no lib/keystone"))))
}

func TestClosure(t *testing.T) {
	services, err := libs(map[string]string{
		"keystone": "", "glance": "# requires: keystone", "placement": "# requires: keystone",
		"neutron": "# requires: keystone", "nova": "# requires: placement neutron glance keystone",
		"a": "# requires: b", "b": "# requires: c", "c": "# requires: b", "self": "# requires: self",
	}).Services()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	for name, test := range map[string]struct {
		of   []string
		want []string
		err  string
	}{
		"nothing":          {nil, nil, ""},
		"one alone":        {[]string{"keystone"}, []string{"keystone"}, ""},
		"what it requires": {[]string{"glance"}, []string{"keystone", "glance"}, ""},
		"deep":             {[]string{"nova"}, []string{"keystone", "placement", "neutron", "glance", "nova"}, ""},
		"several":          {[]string{"glance", "nova", "keystone"}, []string{"keystone", "glance", "placement", "neutron", "nova"}, ""},
		"unknown":          {[]string{"heat"}, nil, "no lib/heat"},
		"circle":           {[]string{"glance", "a"}, nil, "b -> c -> b"},
		"itself":           {[]string{"self"}, nil, "self -> self"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			closure, err := services.Closure(test.of...)
			if test.err != "" {
				g.Expect(err).To(MatchError(ContainSubstring(test.err)))
				g.Expect(err).To(MatchError(ErrSetting))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			var names []string
			for _, one := range closure {
				names = append(names, one.Name)
			}
			g.Expect(names).To(Equal(test.want))
		})
	}
}
