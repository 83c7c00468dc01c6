package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"grenade/hack/internal/harness"
)

// The scripts that are run in the node.
var (
	//go:embed grenade-sh
	grenadeSh string
	//go:embed tree-work
	treeWork string
)

// The phases of the table, in order: those that both harnesses have, and what lies
// around them.
const (
	early    = "early_create"
	create   = "create"
	verify   = "verify"
	save     = "save"
	shutdown = "shutdown"
	noAPI    = "verify_noapi"
	prepare  = "prepare"
	upgrade  = "upgrade"
	verified = "verify_upgraded"
	saved    = "save_upgraded"
	destroy  = "destroy"
	further  = "further"
)

func phases() []string {
	return []string{early, create, verify, save, shutdown, noAPI, prepare, upgrade, verified, saved, destroy, further}
}

// times are how long phases took. Whole is from a base cloud that stands to the end of
// the run.
type times struct {
	Phases map[string]time.Duration
	Whole  time.Duration
	// Native is what of them native checks took, while no script ran: resources that
	// upstream does not have.
	Native map[string]time.Duration `json:",omitempty"`
}

// native is the sum of Native.
func (t times) native() time.Duration {
	var sum time.Duration
	for _, took := range t.Native {
		sum += took
	}
	return sum
}

// spent are the three that are compared.
type spent string

const (
	byUpstream spent = "upstream"
	byUs       spent = "ours"
	byTree     spent = "tree"
)

func (t *tester) timesCases() []harness.Case {
	measure := func(who spent, how func(context.Context) (times, error)) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			seen, err := how(ctx)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("%.1f s from the base cloud on", seen.Whole.Seconds()), t.keep(who, seen)
		}
	}
	return []harness.Case{
		{Name: "times: upstream's grenade.sh", Do: measure(byUpstream, t.grenadeSh)},
		{Name: "times: this suite", Do: measure(byUs, t.suite)},
		{Name: "times: the tree alone", Do: measure(byTree, t.treeWork)},
	}
}

// timed is a copy of upstream's checkout in which placement is stopped by a
// shutdown.sh of its own: upstream's is stopped by nova's, which is not part of this
// cloud. Both harnesses run it.
func (t *tester) timed(ctx context.Context) (string, error) {
	dir, err := t.copied(ctx, t.grenade, "timed")
	if err != nil {
		return "", err
	}
	// Nobody asks git, and not all that it keeps may be read by all.
	if err := os.RemoveAll(filepath.Join(dir, ".git")); err != nil {
		return "", fmt.Errorf("upstream's checkout: %w", err)
	}
	ours, err := os.ReadFile(filepath.Join(t.site.Checkout, "plugins", "15_placement", "shutdown.sh"))
	if err != nil {
		return "", fmt.Errorf("placement's shutdown.sh: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "projects", "15_placement", "shutdown.sh"), ours, 0o755); err != nil {
		return "", fmt.Errorf("placement's shutdown.sh: %w", err)
	}
	return dir, nil
}

// grenadeSh runs upstream's grenade.sh on a base cloud.
func (t *tester) grenadeSh(ctx context.Context) (seen times, err error) {
	defer func() { err = errors.Join(err, t.cleanUp(ctx)) }()
	dir, err := t.timed(ctx)
	if err != nil {
		return times{}, err
	}
	cloud, err := t.build(ctx, "grenade-sh-base")
	if err != nil {
		return times{}, err
	}
	// What is saved is seen in the node.
	visible := filepath.Join(t.site.SaveDir, "upstream")
	if err := os.Rename(dir, visible); err != nil {
		return times{}, fmt.Errorf("hand the checkout to the node: %w", err)
	}
	summary, err := t.inNode(ctx, cloud, "grenade-sh", grenadeSh, "CHECKOUT="+visible)
	if err != nil {
		return times{}, err
	}
	return readSummary(strings.NewReader(summary))
}

// treeWork does what must be done, on another base cloud, without a harness.
func (t *tester) treeWork(ctx context.Context) (seen times, err error) {
	defer func() { err = errors.Join(err, t.cleanUp(ctx)) }()
	cloud, err := t.build(ctx, "tree-work-base")
	if err != nil {
		return times{}, err
	}
	printed, err := t.inNode(ctx, cloud, "tree-work", treeWork)
	if err != nil {
		return times{}, err
	}
	return readMilliseconds(strings.NewReader(printed))
}

// suite is a run of ours, with upstream's plugins.
func (t *tester) suite(ctx context.Context) (seen times, err error) {
	defer func() { err = errors.Join(err, t.nothingLeft()) }()
	dir, err := t.timed(ctx)
	if err != nil {
		return times{}, err
	}
	end, err := t.upgrade(ctx, "suite", []string{"GRENADE_PROJECTS=" + filepath.Join(dir, "projects")}, projects)
	if err != nil {
		return times{}, err
	}
	if err := end.mustBe(harness.Row{}); err != nil {
		return times{}, fmt.Errorf("%s: %w", end, err)
	}
	return readReport(end.results)
}

// inNode runs a script in the cloud's node as the stack user, and returns what it
// printed; what it said on standard error is in a log.
func (t *tester) inNode(ctx context.Context, cloud base, name, script string, env ...string) (string, error) {
	path := filepath.Join(t.site.SaveDir, name)
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	said := filepath.Join(t.site.SaveDir, name+".log")
	words := append([]string{
		"HOME=" + t.site.StackRoot, "USER=stack", "LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin", "STACK_ROOT=" + t.site.StackRoot,
		"BASE_DEVSTACK_BRANCH=stable/zed", "TARGET_DEVSTACK_BRANCH=stable/2025.1",
	}, env...)
	quoted := make([]string, 0, len(words))
	for _, word := range words {
		quoted = append(quoted, "'"+word+"'")
	}
	// The node has the cached root file systems of both releases: the target's is the
	// one that it does not run itself. It alone is kept, and elsewhere: upstream's
	// grenade.sh makes all below STACK_ROOT the caller's, however many roots are cached.
	printed, err := cloud.inside.Bash(ctx, fmt.Sprintf(`
for lower in '%s'/roots/*/root; do
    cmp -s "$lower/etc/os-release" /etc/os-release || break
done
mkdir -p /run/target-root
mount --bind "$lower" /run/target-root
umount '%s/roots'
setpriv --reuid=stack --regid=stack --init-groups env -i %s DEBSTACK_LOWER=/run/target-root '%s' 2>'%s'`,
		t.site.StackRoot, t.site.StackRoot, strings.Join(quoted, " "), path, said))
	log := filepath.Join(t.site.Logs, name+".log")
	if content, broken := os.ReadFile(said); broken == nil {
		err = errors.Join(err, os.WriteFile(log, content, 0o600))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w; output: %s", name, err, log)
	}
	return printed, nil
}

// marks are the lines of upstream's summary with which a phase begins.
func marks() map[string]string {
	return map[string]string{
		"begin":                                       "setup",
		"Running resource phase: early_create":        early,
		"Running resource phase: create":              create,
		"Running resource phase: verify pre-upgrade":  verify,
		"Saving current state information":            save,
		"Shutting down all services on base devstack": shutdown,
		"Running resource phase: verify_noapi":        noAPI,
		"Preparing the target devstack environment":   prepare,
		"Upgrading ": upgrade,
		"Running resource phase: verify post-upgrade": verified,
		"Dumping new databases":                       saved,
		"Running resource phase: destroy":             destroy,
		"Grenade has completed":                       "",
		"end":                                         "",
	}
}

// readSummary reads the dated lines of a grenade.sh that has run to its end.
func readSummary(text io.Reader) (times, error) {
	seen := times{Phases: map[string]time.Duration{}}
	var began, since time.Time
	phase := ""
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		stamp, said, dated := strings.Cut(lines.Text(), " | ")
		at, err := time.Parse("2006-01-02 15:04:05.000", stamp)
		if !dated || err != nil {
			continue
		}
		for mark, next := range marks() {
			if !strings.HasPrefix(strings.TrimSpace(said), mark) || next == phase {
				continue
			}
			if phase != "" {
				seen.Phases[phase] += at.Sub(since)
			}
			if began.IsZero() {
				began = at
			}
			phase, since, seen.Whole = next, at, at.Sub(began)
		}
	}
	if err := lines.Err(); err != nil {
		return times{}, fmt.Errorf("grenade.sh's summary: %w", err)
	}
	// Settings are loaded in it, and nothing of a base cloud is built.
	seen.Phases[further] = seen.Phases["setup"]
	delete(seen.Phases, "setup")
	if phase != "" || seen.Phases[destroy] == 0 {
		return times{}, errors.New("grenade.sh's summary: it did not come to its end")
	}
	return seen, nil
}

// readMilliseconds reads lines of a phase and its milliseconds.
func readMilliseconds(text io.Reader) (times, error) {
	seen := times{Phases: map[string]time.Duration{}}
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		phase, number, _ := strings.Cut(lines.Text(), " ")
		milliseconds, err := strconv.Atoi(number)
		if err != nil {
			return times{}, fmt.Errorf("the tree's work: %q: %w", lines.Text(), err)
		}
		seen.Phases[phase] = time.Duration(milliseconds) * time.Millisecond
		seen.Whole += seen.Phases[phase]
	}
	if err := lines.Err(); err != nil {
		return times{}, fmt.Errorf("the tree's work: %w", err)
	}
	if seen.Phases[destroy] == 0 {
		return times{}, errors.New("the tree's work: it did not come to its end")
	}
	return seen, nil
}

// keep writes the times down for a later call.
func (t *tester) keep(who spent, seen times) error {
	content, err := json.Marshal(seen)
	if err != nil {
		return fmt.Errorf("keep the times: %w", err)
	}
	if err := os.WriteFile(t.kept(who), content, 0o644); err != nil {
		return fmt.Errorf("keep the times: %w", err)
	}
	return nil
}

// forgetTimes removes those of an earlier campaign.
func (t *tester) forgetTimes() error {
	for _, who := range []spent{byUpstream, byUs, byTree} {
		if err := os.Remove(t.kept(who)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("times of an earlier campaign: %w", err)
		}
	}
	return nil
}

func (t *tester) kept(who spent) string {
	return filepath.Join(t.site.Logs, "times-"+string(who)+".json")
}

// timesTable prints all three, phase by phase, when they have been measured.
func (t *tester) timesTable(out io.Writer) error {
	all := map[spent]times{}
	for _, who := range []spent{byUpstream, byUs, byTree} {
		content, err := os.ReadFile(t.kept(who))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the table of times: %w", err)
		}
		var seen times
		if err := json.Unmarshal(content, &seen); err != nil {
			return fmt.Errorf("the table of times: %w", err)
		}
		all[who] = seen
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\nphase\tthe tree's work s\tgrenade.sh s\tthis suite s\tof it native checks s\trest of grenade.sh s\trest of this suite s\t")
	line := func(name string, tree, upstream, ours, native time.Duration) {
		fmt.Fprintf(table, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t\n", name, tree.Seconds(), upstream.Seconds(), ours.Seconds(), native.Seconds(),
			(upstream - tree).Seconds(), (ours - native - tree).Seconds())
	}
	tree, upstream, ours := all[byTree], all[byUpstream], all[byUs]
	for _, phase := range phases() {
		line(phase, tree.Phases[phase], upstream.Phases[phase], ours.Phases[phase], ours.Native[phase])
	}
	line("whole", tree.Whole, upstream.Whole, ours.Whole, ours.native())
	if err := table.Flush(); err != nil {
		return fmt.Errorf("the table of times: %w", err)
	}
	left, upstreams := ours.Whole-ours.native()-tree.Whole, upstream.Whole-tree.Whole
	fmt.Fprintf(out, "\nrest of this suite to that of grenade.sh: %.1f s to %.1f s, %.2f\n", left.Seconds(), upstreams.Seconds(), left.Seconds()/upstreams.Seconds())
	fmt.Fprintln(out, "\nThe rest is what a harness takes without the tree's work, and without native checks, which upstream has not: they make, compare\n"+
		"and remove resources of their own. further: phases of this suite alone, and what lies between rows; of grenade.sh: its settings.")
	return nil
}
