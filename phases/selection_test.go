package phases_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"

	"grenade/phases"
	"grenade/plugins"
)

// threeProjects is the plan of the in-tree plugins.
func threeProjects() phases.Plan {
	return phases.NewPlan([]plugins.Plugin{{Project: "keystone"}, {Project: "placement"}, {Project: "glance"}})
}

// needKeystone says that every project requires keystone.
func needKeystone(projects []string) ([]string, error) {
	closure := []string{"keystone"}
	for _, project := range []string{"placement", "glance"} {
		if slices.Contains(projects, project) {
			closure = append(closure, project)
		}
	}
	return closure, nil
}

// choose evaluates a label filter as the suite does.
func choose(filter string, requires phases.Requirements) (phases.Selection, error) {
	matches, err := types.ParseLabelFilter(filter)
	if err != nil {
		return phases.Selection{}, err
	}
	return threeProjects().Select(filter, matches, phases.Dependencies{Requires: requires, UpgradesAfter: afterNothing})
}

// afterNothing says that every project can be upgraded first.
func afterNothing(string) ([]string, error) { return nil, nil }

func keys(rows []phases.Row) []string {
	var all []string
	for _, row := range rows {
		all = append(all, row.Key().String())
	}
	return all
}

func TestPlanFollowsTheSeedAndReversesShutdownAndDestroy(t *testing.T) {
	g := NewWithT(t)
	plan := threeProjects()

	var order []string
	for _, row := range plan.Rows {
		if !slices.Contains(order, row.Phase.ID) {
			order = append(order, row.Phase.ID)
		}
	}
	g.Expect(order).To(Equal([]string{
		"verify_base", "early_create", "create", "verify-pre-upgrade", "shutdown", "snapshot",
		"verify_noapi-pre-upgrade", "upgrade", "verify-post-upgrade", "verify_target", "destroy", "leaks",
	}))
	g.Expect(keys(plan.Of("create"))).To(Equal([]string{"create/keystone", "create/placement", "create/glance"}))
	g.Expect(keys(plan.Of("shutdown"))).To(Equal([]string{"shutdown/cloud", "shutdown/glance", "shutdown/placement", "shutdown/keystone"}))
	g.Expect(keys(plan.Of("destroy"))).To(Equal([]string{"destroy/glance", "destroy/placement", "destroy/keystone"}))
	g.Expect(keys(plan.Of("leaks"))).To(Equal([]string{"leaks/keystone", "leaks/placement", "leaks/glance", "leaks/cloud"}))
}

func TestSelection(t *testing.T) {
	glance := func(phaseIDs ...string) []string {
		var all []string
		for _, id := range phaseIDs {
			all = append(all, id+"/glance")
		}
		return all
	}
	tests := []struct {
		filter  string
		scope   phases.Scope
		closure string
		rows    []string // all rows, when few
		has     []string
		lacks   []string
	}{
		{filter: "", scope: phases.WholeRun, closure: "keystone placement glance", has: keys(threeProjects().Rows)},
		{
			filter: "glance", scope: phases.WholeRun, closure: "keystone glance",
			has: append(glance("verify_base", "create", "upgrade", "destroy"),
				"early_create/keystone", "destroy/keystone", "shutdown/cloud", "upgrade/cloud", "verify_target/cloud", "leaks/keystone", "leaks/cloud"),
			lacks: []string{"create/keystone", "upgrade/keystone", "shutdown/keystone", "early_create/placement", "upgrade/placement"},
		},
		{
			filter: "!glance", scope: phases.WholeRun, closure: "keystone placement",
			has:   []string{"upgrade/keystone", "upgrade/placement", "upgrade/cloud", "leaks/cloud"},
			lacks: glance("verify_base", "create", "upgrade", "destroy"),
		},
		{
			filter: "base", scope: phases.BaseSide, closure: "keystone placement glance",
			has:   []string{"verify_base/glance", "shutdown/cloud", "verify_noapi-pre-upgrade/keystone"},
			lacks: []string{"upgrade/cloud", "leaks/cloud", "destroy/glance"},
		},
		{
			filter: "base && glance", scope: phases.BaseSide, closure: "keystone glance",
			has:   []string{"early_create/keystone", "shutdown/cloud", "shutdown/glance"},
			lacks: []string{"create/keystone", "destroy/keystone", "leaks/cloud"},
		},
		{
			filter: "target && glance", scope: phases.TargetSide, closure: "keystone glance",
			has:   []string{"upgrade/glance", "upgrade/cloud", "destroy/keystone", "leaks/cloud"},
			lacks: []string{"early_create/keystone", "upgrade/keystone", "verify_base/glance"},
		},
		{
			filter: "glance && verify", scope: phases.OnePhase, closure: "keystone glance",
			rows: glance("verify-pre-upgrade", "verify-post-upgrade"),
		},
		{
			filter: "glance && upgrade", scope: phases.OnePhase, closure: "keystone glance",
			rows: []string{"upgrade/cloud", "upgrade/glance"},
		},
		{
			filter: "glance && destroy", scope: phases.OnePhase, closure: "keystone glance",
			rows: []string{"destroy/glance", "leaks/glance", "leaks/cloud"},
		},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("filter %q", test.filter), func(t *testing.T) {
			g := NewWithT(t)
			selection, err := choose(test.filter, needKeystone)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(selection.Scope).To(Equal(test.scope))
			g.Expect(strings.Join(selection.Closure, " ")).To(Equal(test.closure))
			if test.rows != nil {
				g.Expect(keys(selection.Rows)).To(Equal(test.rows))
			}
			for _, key := range test.has {
				g.Expect(keys(selection.Rows)).To(ContainElement(key))
			}
			for _, key := range test.lacks {
				g.Expect(keys(selection.Rows)).NotTo(ContainElement(key))
			}
		})
	}
}

// A project whose upgrade cannot do without another's takes it along, as if the
// filter had named both; what is left out of the one is left out of the other.
func TestWhatMustBeUpgradedBeforeIsUpgradedToo(t *testing.T) {
	after := func(project string) ([]string, error) {
		if project == "glance" {
			return []string{"placement"}, nil
		}
		return nil, nil
	}
	for filter, rows := range map[string][]string{
		"glance":            {"create/placement", "upgrade/placement", "upgrade/glance", "leaks/placement"},
		"target && glance":  {"upgrade/placement", "upgrade/glance"},
		"glance && upgrade": nil,
		"keystone":          nil,
	} {
		t.Run(filter, func(t *testing.T) {
			g := NewWithT(t)
			matches, err := types.ParseLabelFilter(filter)
			g.Expect(err).NotTo(HaveOccurred())
			selection, err := threeProjects().Select(filter, matches, phases.Dependencies{Requires: needKeystone, UpgradesAfter: after})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(keys(selection.Rows)).To(ContainElements(rows))
			if rows == nil {
				g.Expect(selection.Projects).NotTo(ContainElement("placement"))
			} else {
				g.Expect(selection.Closure).To(ContainElement("placement"))
			}
		})
	}
}

func TestOnlyTheFilterThatNamesTheCloudAsksForItsDestruction(t *testing.T) {
	g := NewWithT(t)
	cloud := threeProjects().Of(phases.Leaks)[3]
	g.Expect(cloud.Cloud()).To(BeTrue())

	one, err := choose("glance && destroy", needKeystone)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(one.AskedFor(cloud)).To(BeFalse())

	all, err := choose("destroy", needKeystone)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(all.AskedFor(cloud)).To(BeTrue())
}

func TestFilterThatSelectsNothingSaysWhatThereIs(t *testing.T) {
	g := NewWithT(t)
	_, err := choose("nova", needKeystone)
	g.Expect(err).To(MatchError(phases.ErrSelectsNothing))
	g.Expect(err).To(MatchError(ContainSubstring("keystone placement glance")))

}

// The filter that Ginkgo gets must pick the selection's rows and no others,
// whatever the user's filter was.
func TestGinkgoFilterPicksExactlyTheSelection(t *testing.T) {
	plan := threeProjects()
	for _, filter := range []string{
		"", "glance", "!glance", "base", "target", "verify", "glance && destroy", "glance && destroy && !leaks", "leaks", "!leaks", "cloud", "pre-upgrade",
	} {
		t.Run(filter, func(t *testing.T) {
			g := NewWithT(t)
			selection, err := choose(filter, needKeystone)
			g.Expect(err).NotTo(HaveOccurred())
			matches, err := types.ParseLabelFilter(selection.LabelFilter())
			g.Expect(err).NotTo(HaveOccurred())
			var picked []string
			for _, row := range plan.Rows {
				if matches(row.Labels()) {
					picked = append(picked, row.Key().String())
				}
			}
			g.Expect(picked).To(Equal(keys(selection.Rows)))
		})
	}
}
