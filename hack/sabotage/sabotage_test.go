package main

import (
	"context"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/hack/internal/fakerun"
	"grenade/hack/internal/harness"
)

func newSaboteur(t *testing.T, site harness.Site) *saboteur {
	t.Helper()
	look := fakerun.Look(site)
	before, err := look()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	s := &saboteur{site: site, look: look, before: before, layers: t.TempDir(), plans: map[string][]harness.Row{}}
	s.plans["identity"], err = s.undisturbed(t.Context(), identity())
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	NewWithT(t).Expect(s.plans["identity"]).To(HaveLen(3 * len(fakerun.Phases())))
	return s
}

func TestScriptsAreSabotagedAndTheRightRowTurnsRed(t *testing.T) {
	for _, one := range []sabotage{upgradeThatDoesNothing(), serviceLeftRunning()} {
		t.Run(one.name, func(t *testing.T) {
			g := NewWithT(t)
			s := newSaboteur(t, fakerun.New(t))
			detail, err := s.commit(t.Context(), one, red, "red")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(detail).To(ContainSubstring("red at " + one.expected.String()))
		})
	}
}

func TestASabotageThatNobodyNoticesFails(t *testing.T) {
	g := NewWithT(t)
	s := newSaboteur(t, fakerun.New(t))
	t.Setenv("FAKE_BLIND", "1")
	_, err := s.commit(t.Context(), upgradeThatDoesNothing(), red, "blind")
	g.Expect(err).To(MatchError(ContainSubstring("it must be red at upgrade/glance")))
	// The same blindness is what is wanted of a copy without checks.
	_, err = s.commit(t.Context(), upgradeThatDoesNothing(), green, "blind")
	g.Expect(err).NotTo(HaveOccurred())
}

func TestTheWrongRowIsNotGoodEnough(t *testing.T) {
	g := NewWithT(t)
	s := newSaboteur(t, fakerun.New(t))
	one := upgradeThatDoesNothing()
	one.expected.Project = keystone
	_, err := s.commit(t.Context(), one, red, "wrong")
	g.Expect(err).To(MatchError(ContainSubstring("it must be red at upgrade/keystone")))
}

func TestASabotageThatFindsNothingToBreakFails(t *testing.T) {
	g := NewWithT(t)
	s := newSaboteur(t, fakerun.New(t))
	one := serviceLeftRunning()
	one.expected = harness.Row{Phase: shutdown, Project: glance}
	one.act = func(ctx context.Context, s scene) (string, error) { return s.inside.Bash(ctx, "echo never") }
	_, err := s.commit(t.Context(), one, red, "nothing")
	g.Expect(err).To(MatchError(ContainSubstring("the sabotage itself failed, which proves nothing")))
	g.Expect(err).To(MatchError(ContainSubstring("is in no container")), "the host itself is never broken")
}

func TestEverySabotageNamesItsRow(t *testing.T) {
	g := NewWithT(t)
	names := map[string]bool{}
	for _, one := range sabotages() {
		names[one.name] = true
		g.Expect(one.expected.Phase).To(BeElementOf(upgrade, shutdown, verifyNoAPI, verifyPost, destroy, leaks), one.name)
		g.Expect(one.expected.Project).To(BeElementOf(keystone, glance, placement, swift, neutron, nova, cinder, designate, barbican), one.name)
		g.Expect(append(stages(), pluginStages()...)).To(ContainElement(one.on), one.name)
	}
	g.Expect(names).To(HaveLen(18))
	s := &saboteur{}
	// Each stage has its base cloud and its undisturbed run; three sabotages of the
	// first are for checks only, each repeated twice without.
	g.Expect(s.cases("/copies")).To(HaveLen(16 + 2*len(stages()) + 2*3))
	// That of a plugin has no base cloud to copy.
	s.plugins = map[string]string{designate: "/checkout"}
	g.Expect(s.cases("/copies")).To(HaveLen(16 + 2*len(stages()) + 2*3 + 2))
}

func TestAPluginsRunsEnableItFromItsCheckout(t *testing.T) {
	g := NewWithT(t)
	plugins, checkout := map[string]string{}, t.TempDir()
	g.Expect(addPlugin(plugins, "heat=/x")).To(MatchError(ContainSubstring("there are sabotages of designate and barbican")))
	g.Expect(addPlugin(plugins, "designate="+checkout)).To(MatchError(ContainSubstring("devstack/upgrade/settings")))
	g.Expect(os.MkdirAll(filepath.Join(checkout, "devstack/upgrade"), 0o755)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(checkout, "devstack/upgrade/settings"), nil, 0o600)).To(Succeed())
	g.Expect(addPlugin(plugins, "designate="+checkout)).To(Succeed())

	s := &saboteur{layers: "/layers", plugins: plugins}
	env, args := s.onStage(dns())
	g.Expect(env).To(ContainElement("GRENADE_PLUGINRC=enable_grenade_plugin designate '" + checkout + "'"))
	g.Expect(env).NotTo(ContainElement(HavePrefix("BASE_LAYER=")))
	g.Expect(args).To(Equal([]string{"--label-filter=designate"}))
	env, _ = s.onStage(volume())
	g.Expect(env).NotTo(ContainElement(HavePrefix("GRENADE_PLUGINRC=")))
}

func TestAHangIsAddedAfterTheShebang(t *testing.T) {
	g := NewWithT(t)
	g.Expect(withPrologue("#!/bin/bash\nreal\n", "hang\n")).To(Equal("#!/bin/bash\nhang\nreal\n"))
	g.Expect(withPrologue("real\n", "hang\n")).To(Equal("hang\nreal\n"))
}

func TestRewritingKeepsTheMode(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "upgrade.sh")
	g.Expect(os.WriteFile(path, []byte("a"), 0o600)).To(Succeed())
	g.Expect(os.Chmod(path, 0o750)).To(Succeed())
	g.Expect(rewrite(path, strings.ToUpper)).To(Succeed())
	g.Expect(os.ReadFile(path)).To(BeEquivalentTo("A"))
	info, err := os.Stat(path)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(info.Mode().Perm()).To(BeEquivalentTo(0o750))
}

func TestOnlyTheEyesAreClosed(t *testing.T) {
	g := NewWithT(t)
	changed, count, err := blindMethods([]byte(`package keystone

func Verify() error { return broken }

func (c check) Create() error { return c.create() }
func (c check) Verify(stage Stage) error { return c.verify(stage) }
func (c *check) VerifyNoAPI(Stage) (err error) {
	return c.inside()
}
`))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(count).To(Equal(2))
	formatted, err := format.Source(changed)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(formatted)).To(ContainSubstring("func Verify() error { return broken }"))
	g.Expect(string(formatted)).To(ContainSubstring("func (c check) Create() error { return c.create() }"))
	g.Expect(string(formatted)).To(ContainSubstring("(stage Stage) error {\n\tif true {\n\t\treturn nil\n\t}\n\treturn c.verify(stage)"))
	g.Expect(string(formatted)).To(ContainSubstring("(err error) {\n\tif true {\n\t\treturn nil\n\t}\n\n\treturn c.inside()"))

	_, _, err = blindMethods([]byte("package x\n\nfunc (c check) Verify() (int, error) { return 0, nil }\n"))
	g.Expect(err).To(MatchError(ContainSubstring("expected to return an error and nothing else")))
	g.Expect(closeEyes("native", nil)).To(MatchError(ContainSubstring("no method Verify or VerifyNoAPI found")))
}

// The real source must be such that its checks can be blinded, each of them.
func TestTheChecksOfThisCheckoutCanBeBlinded(t *testing.T) {
	for how, shelled := range map[blindness]string{withoutNative: "sees", withoutAny: "blind"} {
		t.Run(string(how), func(t *testing.T) {
			g := NewWithT(t)
			dir := filepath.Join(t.TempDir(), "copy")
			g.Expect(blinded(t.Context(), "../..", dir, how)).To(Succeed())
			for _, project := range []string{keystone, glance, placement} {
				g.Expect(blindIn(t, filepath.Join(dir, "resources", project))).To(Equal(2), project)
			}
			// Those of the shelled check, and of resources.Unfit.
			g.Expect(blindIn(t, filepath.Join(dir, "resources"))).To(Equal(map[string]int{"sees": 0, "blind": 4}[shelled]))
			output, err := exec.CommandContext(t.Context(), "go", "-C", dir, "build", "./resources/...").CombinedOutput()
			g.Expect(err).NotTo(HaveOccurred(), string(output))
		})
	}
}

// blindIn counts the blinded methods in the directory.
func blindIn(t *testing.T, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	count := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		count += strings.Count(string(content), "\tif true {\n\t\treturn nil\n")
	}
	return count
}
