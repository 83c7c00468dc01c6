package devstack

import (
	"net/http"
	"net/http/httptest"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
	"grenade/framework/probe"
	"grenade/framework/tree"
)

// commands as DevStack's libs write them into unit files.
func units() []unit {
	return []unit{
		{"devstack@keystone", "/opt/stack/data/venv/bin/uwsgi --procname-prefix keystone --ini /etc/keystone/keystone-uwsgi-public.ini --venv /opt/stack/data/venv"},
		{"devstack@g-api", "/usr/local/bin/uwsgi --procname-prefix glance-api --ini /etc/glance/glance-uwsgi.ini"},
		{"devstack@n-cpu", "/usr/bin/sg libvirt '/usr/local/bin/nova-compute --config-file /etc/nova/nova-cpu.conf'"},
		{"devstack@n-sch", "/usr/local/bin/nova-scheduler --config-file /etc/nova/nova.conf"},
		{"devstack@q-agt", "/usr/local/bin/neutron-openvswitch-agent --config-file /etc/neutron/neutron.conf"},
		{"devstack@ovn-controller", "/usr/local/bin/ovn-ctl start_controller"},
		{"devstack@s-proxy", "/usr/local/bin/swift-proxy-server /etc/swift/proxy-server.conf -v"},
		{"devstack@etcd", "/opt/stack/bin/etcd --name here"},
	}
}

func cloudOf(enabled ...string) *Cloud {
	cloud := NewCloud(Options{Config: &config.Config{StackRoot: "/opt/stack"}})
	cloud.saved = state{
		Enabled: map[config.Side][]string{config.Target: enabled},
		Units:   map[config.Side][]unit{config.Base: units()},
	}
	return cloud
}

func TestAUnitBelongsToTheProjectWhoseProgramItStarts(t *testing.T) {
	g := NewWithT(t)
	cloud := cloudOf()
	for project, want := range map[string][]string{
		"keystone": {"devstack@keystone"}, "glance": {"devstack@g-api"}, "nova": {"devstack@n-cpu", "devstack@n-sch"},
		"neutron": {"devstack@q-agt"}, "swift": {"devstack@s-proxy"},
	} {
		service, known := cloud.Service(project, config.Base)
		g.Expect(known).To(BeTrue())
		g.Expect(service.Units).To(Equal(want), project)
		g.Expect(service.Unproved).To(BeEmpty())
	}
	service, _ := cloud.Service("neutron", config.Base)
	g.Expect(service.Helper("devstack@q-agt", "/usr/sbin/dnsmasq")).To(BeTrue(), "the data plane outlives its agent")
	service, _ = cloud.Service("heat", config.Base)
	g.Expect(service.Unproved).To(Equal("none of the units devstack@… runs a program of heat"))
}

// A service that nobody has started again is the classic of false greens; one that has gone with the release is none.
func TestAUnitOfBaseMustRunAfterTheUpgradeWhereItIsStillEnabled(t *testing.T) {
	g := NewWithT(t)
	cloud := cloudOf("n-sch")
	cloud.saved.Units[config.Target] = []unit{units()[2]}
	service, _ := cloud.Service("nova", config.Target)
	g.Expect(service.Units).To(Equal([]string{"devstack@n-cpu", "devstack@n-sch"}))
	cloud = cloudOf("key")
	cloud.saved.Units[config.Target] = []unit{units()[2]}
	service, _ = cloud.Service("nova", config.Target)
	g.Expect(service.Units).To(Equal([]string{"devstack@n-cpu"}))
}

func TestWithoutSystemdNothingIsProved(t *testing.T) {
	cloud := cloudOf()
	cloud.saved.Blind = "systemd cannot be asked: no bus"
	service, known := cloud.Service("keystone", config.Target)
	g := NewWithT(t)
	g.Expect(known).To(BeTrue())
	g.Expect(service.Units).To(BeEmpty())
	g.Expect(service.Unproved).To(Equal("systemd cannot be asked: no bus"))
}

func TestInterpreterOfAUnit(t *testing.T) {
	all := units()
	for _, test := range []struct {
		of                  unit
		project, how, where string
	}{
		{all[0], "keystone", "venv", "/opt/stack/data/venv"},
		{all[1], "glance", "system", "-"},
		{all[2], "nova", "program", "/usr/local/bin/nova-compute"},
		{all[3], "nova", "program", "/usr/local/bin/nova-scheduler"},
		{unit{"devstack@x", "/bin/uwsgi --virtualenv=/v --ini /etc/heat/x.ini"}, "heat", "venv", "/v"},
		{unit{"devstack@x", ""}, "heat", "program", "/nowhere"},
	} {
		how, where := test.of.interpreter(test.project)
		NewWithT(t).Expect([]string{how, where}).To(Equal([]string{test.how, test.where}), test.of.Command)
	}
}

func TestCodeOfAProcess(t *testing.T) {
	g := NewWithT(t)
	at := clock{boot: 1000, ticks: 100}
	code := installed{name: "keystone", version: "27.0", place: "/opt/stack/new/keystone", commit: "0123456789abcdef", at: 1060}
	started := func(second uint64) probe.Process { return probe.Process{StartTime: second * 100} }

	g.Expect(code.runBy(started(90), "keystone", at)).To(Equal(tree.Code{Package: "keystone", Version: "git 0123456789ab in /opt/stack/new/keystone"}))
	g.Expect(code.runBy(started(10), "keystone", at).Version).To(
		Equal("older than git 0123456789ab in /opt/stack/new/keystone, which was installed 50 s after it had started"))
	code.commit = "-"
	g.Expect(code.runBy(started(90), "keystone", at).Unknown).To(Equal("keystone 27.0 was installed from no git checkout (/opt/stack/new/keystone)"))
	code.commit, code.at = "0123456789abcdef", 0
	g.Expect(code.runBy(started(90), "keystone", at).Unknown).To(ContainSubstring("when keystone 27.0 was installed is not known"))
}

func TestCatalog(t *testing.T) {
	g := NewWithT(t)
	asked := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.URL.Path
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"token": {"catalog": [
			{"name": "keystone", "endpoints": [{"interface": "admin", "region": "R", "url": "http://a/"}, {"interface": "public", "region": "R", "url": "http://p/identity"}]},
			{"name": "nova", "endpoints": [{"interface": "public", "region": "elsewhere", "url": "http://e/"}]}]}}`))
	}))
	defer server.Close()
	access := tree.Access{AuthURL: versioned(server.URL + "/identity/"), Region: "R", Username: "admin", Password: "secret", Project: "admin"}
	found, err := catalog(t.Context(), access)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found).To(Equal(map[string]string{"keystone": "http://p/identity"}))
	g.Expect(asked).To(Equal("POST /identity/v3/auth/tokens"))

	access.Region = "X"
	_, err = catalog(t.Context(), access)
	g.Expect(err).To(MatchError(ContainSubstring(`no public endpoint in region "X"`)))
	server.Close()
	_, err = catalog(t.Context(), access)
	g.Expect(err).To(MatchError(ContainSubstring("log in")))
	g.Expect(err.Error()).NotTo(ContainSubstring("secret"))
	_, err = catalog(t.Context(), tree.Access{})
	g.Expect(err).To(MatchError(ContainSubstring("OS_AUTH_URL")))
}

func TestVersioned(t *testing.T) {
	for given, want := range map[string]string{
		"http://h/identity": "http://h/identity/v3", "http://h/identity/v3/": "http://h/identity/v3", "": "",
	} {
		NewWithT(t).Expect(versioned(given)).To(Equal(want))
	}
}
