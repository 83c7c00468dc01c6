//go:build cloud

package native_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"

	"grenade/framework/node"
	"grenade/resources"
	"grenade/resources/guest"
	"grenade/resources/native"
)

// cloudVariable names a JSON file (see realCloud) that describes a cloud made
// for these tests. They break things on purpose: give them no other.
const cloudVariable = "GRENADE_TEST_CLOUD"

// realCloud is the form of that file.
type realCloud struct {
	AuthURL string `json:"auth_url"`
	Region  string `json:"region"`
	Admin   struct {
		Username, Password, Project string
	} `json:"admin"`
	// Node is the beginning of a command line that runs a command in the node as
	// root: ["nsenter", "-t", "4711", "-a"].
	Node []string `json:"node"`
}

// prefixNode runs commands in the node through a command prefix.
type prefixNode []string

func (p prefixNode) Output(ctx context.Context, command node.Command) ([]byte, error) {
	args := append(slices.Clone(p), command.Args...)
	cmd := osexec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(string(command.Stdin))
	out, err := cmd.Output()
	var exit *osexec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%v: %w: %s", command.Args, err, exit.Stderr)
	}
	return out, err
}

func (p prefixNode) shell(t *testing.T, script string) string {
	t.Helper()
	var command node.Command
	command.Args = []string{"bash", "-c", "set -euo pipefail; " + script}
	// Also after the test, to put things back.
	out, err := p.Output(context.WithoutCancel(t.Context()), command)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return string(out)
}

// sql runs statements in the node, as root.
func (p prefixNode) sql(t *testing.T, database, statements string) string {
	t.Helper()
	return p.shell(t, "mariadb -N "+database+" <<'SQL'\n"+statements+"\nSQL")
}

func openCloud(t *testing.T) (resources.Cloud, prefixNode) {
	t.Helper()
	path := os.Getenv(cloudVariable)
	if path == "" {
		t.Skip(cloudVariable + " is not set: it names the JSON file of a cloud that the test may break")
	}
	content, err := os.ReadFile(path)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	var described realCloud
	NewWithT(t).Expect(json.Unmarshal(content, &described)).To(Succeed())
	logger := logrus.New()
	logger.SetOutput(t.Output())
	inside := prefixNode(described.Node)
	return resources.Cloud{
		AuthURL: described.AuthURL, Region: described.Region,
		Admin: resources.Credentials{Username: described.Admin.Username, Password: described.Admin.Password, Project: described.Admin.Project},
		Node:  inside,
		Store: &resources.Store{Dir: t.TempDir(), Owner: "test"},
		Log:   logrus.NewEntry(logger),
		Tag:   fmt.Sprintf("t%x", time.Now().UnixNano()),
	}, inside
}

// traces are the rows in which a run's tag, or a project of it that is gone, can
// still be seen. Glance keeps deleted images, marked; placement keeps no name of
// ours; neutron's floating IPs and quotas have no name.
const traces = `
keystone.project WHERE name LIKE '%TAG%'
keystone.local_user WHERE name LIKE '%TAG%'
keystone.group WHERE name LIKE '%TAG%'
keystone.role WHERE name LIKE '%TAG%'
keystone.application_credential WHERE name LIKE '%TAG%'
glance.images WHERE deleted = 0 AND name LIKE '%TAG%'
nova.instances WHERE deleted = 0 AND display_name LIKE '%TAG%'
nova_api.flavors WHERE name LIKE '%TAG%'
nova_api.key_pairs WHERE name LIKE '%TAG%'
nova_api.instance_groups WHERE name LIKE '%TAG%'
nova_api.quotas WHERE project_id NOT IN (SELECT id FROM keystone.project)
neutron.networks WHERE name LIKE '%TAG%'
neutron.ports WHERE name LIKE '%TAG%'
neutron.routers WHERE name LIKE '%TAG%'
neutron.floatingips WHERE project_id NOT IN (SELECT id FROM keystone.project)
neutron.securitygroups WHERE project_id NOT IN (SELECT id FROM keystone.project)
neutron.quotas WHERE project_id NOT IN (SELECT id FROM keystone.project)
placement.resource_providers WHERE name LIKE '%TAG%'
placement.traits WHERE name LIKE UPPER('%TAG%')
placement.resource_classes WHERE name LIKE UPPER('%TAG%')`

// leftRows says which traces a run has left in the databases that the cloud has.
func leftRows(t *testing.T, inside prefixNode, tag string) []string {
	t.Helper()
	databases := strings.Fields(inside.sql(t, "keystone", "SHOW DATABASES;"))
	var questions []string
	for _, trace := range strings.Split(strings.TrimSpace(traces), "\n") {
		if database, _, _ := strings.Cut(trace, "."); slices.Contains(databases, database) {
			trace = strings.ReplaceAll(trace, "TAG", tag)
			table, _, _ := strings.Cut(trace, " ")
			questions = append(questions, fmt.Sprintf("SELECT '%s', COUNT(*) FROM %s HAVING COUNT(*) > 0;", table, trace))
		}
	}
	return strings.Fields(inside.sql(t, "keystone", strings.Join(questions, "\n")))
}

func TestRealChecksStayGreenOnACloudThatNobodyTouches(t *testing.T) {
	for project := range native.Checks(resources.Cloud{}) {
		t.Run(project, func(t *testing.T) {
			g, ctx := NewWithT(t), t.Context()
			cloud, inside := openCloud(t)
			check := native.Checks(cloud)[project]
			guestNetwork(t, project)(cloud)
			t.Cleanup(func() { g.Expect(check.Destroy(context.WithoutCancel(ctx))).To(Succeed()) })
			step(t, "early create", func() error {
				var nothing *resources.NotChecked
				if err := check.EarlyCreate(ctx); !errors.As(err, &nothing) {
					return err
				}
				return nil
			})
			step(t, "create", func() error { return check.Create(ctx) })
			g.Expect(leftRows(t, inside, cloud.Tag)).NotTo(BeEmpty(), "the count of rows must be able to see something")
			for range 2 {
				step(t, "verify pre-upgrade", func() error { return check.Verify(ctx, resources.PreUpgrade) })
				step(t, "verify_noapi pre-upgrade", func() error { return check.VerifyNoAPI(ctx, resources.PreUpgrade) })
			}
			for range 3 {
				step(t, "verify post-upgrade", func() error { return check.Verify(ctx, resources.PostUpgrade) })
				step(t, "verify_noapi post-upgrade", func() error { return check.VerifyNoAPI(ctx, resources.PostUpgrade) })
			}
			step(t, "create again", func() error { return check.Create(ctx) })
			step(t, "verify pre-upgrade", func() error { return check.Verify(ctx, resources.PreUpgrade) })
			step(t, "destroy", func() error { return check.Destroy(ctx) })
			step(t, "destroy again", func() error { return check.Destroy(ctx) })
			g.Expect(leftRows(t, inside, cloud.Tag)).To(BeEmpty())
			g.Expect(check.Verify(ctx, resources.PostUpgrade)).NotTo(Succeed(), "nothing is there any more")
		})
	}
}

// guestNetwork makes what neutron's early create makes for the guests of those
// checks that have one, until the test ends. It is a run's of its own; lend lets
// another's store know it.
func guestNetwork(t *testing.T, project string) (lend func(resources.Cloud)) {
	t.Helper()
	if project != "nova" && project != "cinder" {
		return func(resources.Cloud) {}
	}
	cloud, _ := openCloud(t)
	network := native.Checks(cloud)["neutron"]
	t.Cleanup(func() {
		if err := network.Destroy(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("destroy the guests' network: %v", err)
		}
	})
	step(t, "early_create of neutron", func() error { return network.EarlyCreate(t.Context()) })
	id, err := guest.Network(cloud)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return func(other resources.Cloud) {
		NewWithT(t).Expect(other.Memory("neutron").Save(t.Context(), map[string]string{"shared.network_id": id})).To(Succeed())
	}
}

func step(t *testing.T, name string, do func() error) {
	t.Helper()
	began := time.Now()
	NewWithT(t).Expect(do()).To(Succeed(), name)
	t.Logf("%-26s %5d ms", name, time.Since(began).Milliseconds())
}

// breaker is what a mutation acts with.
type breaker struct {
	t      *testing.T
	cloud  resources.Cloud
	inside prefixNode
	saved  map[string]string // the check's part of the store
}

func (b breaker) sql(database, format string, args ...any) {
	b.t.Helper()
	b.inside.sql(b.t, database, fmt.Sprintf(format, args...))
}

// mutation changes one thing behind a check's back.
type mutation struct {
	project, name string
	change        func(breaker)
	// undo puts back what destroy cannot: things of the cloud itself.
	undo func(breaker)
	// api and noapi are attributes that the verdict of that phase must name; "*"
	// stands for ids. A phase without any is not run.
	api, noapi []string
	// after are those that only the use of the new code, after the upgrade, finds.
	after []string
	// onlyBefore marks what a new release may show, so that it is a difference
	// before the upgrade and none after it.
	onlyBefore bool
}

// TestRealEveryMutationIsSeen is the proof that the checks can fail: each thing
// that they compare is changed behind their back, and the verdict must name it.
func TestRealEveryMutationIsSeen(t *testing.T) {
	for _, m := range mutations() {
		t.Run(m.project+"/"+m.name, func(t *testing.T) {
			cloud, inside := openCloud(t)
			g, ctx := NewWithT(t), t.Context()
			check := native.Checks(cloud)[m.project]
			t.Cleanup(func() {
				if err := check.Destroy(context.WithoutCancel(ctx)); err != nil {
					t.Errorf("destroy after the mutation: %v", err)
				}
			})
			g.Expect(check.Create(ctx)).To(Succeed())
			saved, err := cloud.Memory(m.project).All()
			g.Expect(err).NotTo(HaveOccurred())
			b := breaker{t: t, cloud: cloud, inside: inside, saved: saved}
			if m.undo != nil {
				t.Cleanup(func() { m.undo(b) })
			}
			m.change(b)
			if len(m.api) > 0 {
				expectDifference(t, check.Verify(ctx, resources.PreUpgrade), m.api)
				if m.onlyBefore {
					g.Expect(check.Verify(ctx, resources.PostUpgrade)).To(Succeed())
				} else {
					expectDifference(t, check.Verify(ctx, resources.PostUpgrade), m.api)
				}
			}
			if len(m.noapi) > 0 {
				expectDifference(t, check.VerifyNoAPI(ctx, resources.PreUpgrade), m.noapi)
			}
		})
	}
}

func expectDifference(t *testing.T, err error, attributes []string) {
	t.Helper()
	g := NewWithT(t)
	var difference *resources.Difference
	g.Expect(errors.As(err, &difference)).To(BeTrue(), "wanted a difference, got: %v", err)
	t.Log(difference.Error())
	seen := []string{}
	for _, change := range difference.Changes {
		seen = append(seen, change.Attribute)
	}
	for _, want := range attributes {
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(want), `\*`, ".*") + "$"
		g.Expect(seen).To(ContainElement(MatchRegexp(pattern)), "the verdict must name it")
	}
}
