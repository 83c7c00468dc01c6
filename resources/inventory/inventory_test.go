package inventory

import (
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/tree"
)

func TestLeaksAreWhatIsNewAndNotDeclared(t *testing.T) {
	before := Inventory{"port": {"a": "network:dhcp"}, "server": {}}
	now := Inventory{
		"port":                 {"a": "network:dhcp", "b": "compute:nova", "c": ""},
		"server":               {},
		"instance's directory": {"_base": "", "1f3": ""},
		"libvirt domain":       {"d": ""},
	}
	NewWithT(t).Expect(Leaks(before, now)).To(Equal([]string{
		"instance's directory 1f3", "libvirt domain d", "port b (compute:nova)", "port c",
	}))
}

func TestWhatWentIsNoLeak(t *testing.T) {
	NewWithT(t).Expect(Leaks(Inventory{"port": {"a": ""}}, Inventory{"port": {}})).To(BeEmpty())
}

func TestEveryLeftoverSaysWhy(t *testing.T) {
	kinds := map[string]bool{}
	for _, project := range Projects() {
		for _, each := range listings()[project] {
			kinds[each.kind] = true
		}
	}
	for _, leftover := range Leftovers() {
		g := NewWithT(t)
		g.Expect(kinds).To(HaveKey(leftover.Kind))
		g.Expect(leftover.Prefix).NotTo(BeEmpty())
		g.Expect(leftover.Reason).NotTo(BeEmpty())
	}
}

func TestALeakSaysWhoseItIs(t *testing.T) {
	g := NewWithT(t)
	group := api("security group", "network", "v2.0/security-groups", "security_groups")
	g.Expect(group.describe(map[string]any{"id": "a", "name": "default", "project_id": "p"}, nil)).To(Equal("default of project p"))
	g.Expect(group.describe(map[string]any{"id": "a", "name": "default", "project_id": "p"}, map[string]string{"p": "service"})).To(Equal("default of project service"))
	g.Expect(group.describe(map[string]any{"id": "a", "name": "default", "project_id": ""}, nil)).To(Equal("default"))
	port := listing{kind: "port", name: "device_owner"}
	g.Expect(port.describe(map[string]any{"id": "a", "device_owner": "", "project_id": "p"}, nil)).To(Equal("of project p"))
}

func TestNextPage(t *testing.T) {
	for name, test := range map[string]struct {
		page map[string]any
		want string
	}{
		"last page of Identity": {map[string]any{"links": map[string]any{"next": nil}}, ""},
		"Identity":              {map[string]any{"links": map[string]any{"next": "http://k/v3/users?marker=x"}}, "http://k/v3/users?marker=x"},
		"Image":                 {map[string]any{"next": "/v2/images?marker=x"}, "http://endpoint/v2/images?marker=x"},
		"Compute": {map[string]any{"servers_links": []any{map[string]any{"rel": "next", "href": "http://n/servers?marker=x"}}},
			"http://n/servers?marker=x"},
		"no word of another": {map[string]any{"servers": []any{}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(next("http://endpoint/", test.page, "servers")).To(Equal(test.want))
		})
	}
}

// What a public plugin never removes is declared for it, by kind and name; a
// declaration that is not true any more is red, as every unused one.
func TestWhatAPluginIsKnownToLeaveIsNoLeakAndMustBeThere(t *testing.T) {
	g := NewWithT(t)
	before := Inventory{"user": {"a": "admin"}, "project": {}}
	left := []tree.Leftover{{Kind: "user", Name: "notes", Reason: "its destroy forgets it"}, {Kind: "volume", Name: "of another service", Reason: "x"}}
	now := Inventory{"user": {"a": "admin", "b": "notes"}, "project": {"c": "notes"}}
	g.Expect(Leaks(before, now, left...)).To(Equal([]string{"project c (notes)"}))
	now = Inventory{"user": {"a": "admin", "b": "notes", "d": "notes"}, "project": {}}
	g.Expect(Leaks(before, now, left...)).To(HaveLen(1), "two of that name are one too many")
	g.Expect(Leaks(before, before, left...)).To(Equal([]string{"no user notes, which is declared to be left (its destroy forgets it)"}))
}

func TestAnAnswerWithoutTheListIsAnError(t *testing.T) {
	g := NewWithT(t)
	_, err := api("port", "network", "v2.0/ports", "ports").objects(map[string]any{"prots": []any{}})
	g.Expect(err).To(MatchError(ContainSubstring(`no list "ports"`)))
	_, err = api("port", "network", "v2.0/ports", "ports").objects(map[string]any{"ports": []any{map[string]any{"name": "x"}}})
	g.Expect(err).To(MatchError(ContainSubstring("has no id")))
}
