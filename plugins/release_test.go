package plugins

import (
	"bytes"
	"os"
	osexec "os/exec"
	"strconv"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
)

// askBash gives each word to _release_of_branch, and what that says to
// _release_ordinal, and returns both answers of each.
func askBash(t *testing.T, words ...string) (releases []string, ordinals []int) {
	t.Helper()
	g := NewWithT(t)
	ask := osexec.CommandContext(t.Context(), "bash", "-c", `source shell/inc/upgrade
		while IFS= read -r -d '' word; do
			_release_of_branch "$word"; printf '%s\0' "$REPLY"
			_release_ordinal "$REPLY"; printf '%s\0' "$REPLY"
		done`)
	// In other locales read takes the NUL behind half a character for its rest.
	ask.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	ask.Stdin = strings.NewReader(strings.Join(words, "\x00") + "\x00")
	ask.Stderr = os.Stderr
	answer, err := ask.Output()
	g.Expect(err).NotTo(HaveOccurred())
	fields := bytes.Split(bytes.TrimSuffix(answer, []byte("\x00")), []byte("\x00"))
	g.Expect(fields).To(HaveLen(2 * len(words)))
	for i := 0; i < len(fields); i += 2 {
		releases = append(releases, string(fields[i]))
		ordinal, err := strconv.Atoi(string(fields[i+1]))
		g.Expect(err).NotTo(HaveOccurred())
		ordinals = append(ordinals, ordinal)
	}
	return releases, ordinals
}

// What Go reports and what bash runs must go by the same order of releases.
func TestBashAndGoAgreeOnReleases(t *testing.T) {
	g := NewWithT(t)
	branches := strings.Fields("stable/essex stable/icehouse stable/zed unmaintained/zed proposed/juno stable/2023.1 stable/2022.2 stable/2025.2 stable/2099.2 stable/2100.1 stable/ master bugfix/zed stable/20251 x/stable/zed stable/2025.1/x")
	branches = append(branches, "", "stable/xena yoga", "stable/*", "stable/2023.1\n")
	releases, ordinals := askBash(t, branches...)
	for i, branch := range branches {
		g.Expect(releases[i]).To(Equal(config.ReleaseOf(branch)), "release of %q", branch)
		want, _ := config.Ordinal(releases[i])
		g.Expect(ordinals[i]).To(Equal(want), "ordinal of %q", releases[i])
	}
}

// FuzzBranchName: whatever a branch is called, bash and Go find the same release
// and the same place for it in the order.
func FuzzBranchName(f *testing.F) {
	for _, seed := range strings.Fields("stable/zed unmaintained/2023.1 stable/2025.10 proposed/ stable/-n stable/2025.1/x refs/changes/1/2/3 $(false) [a-z]* stable/essex") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, branch string) {
		if strings.Contains(branch, "\x00") {
			t.Skip("no argument holds NUL")
		}
		releases, ordinals := askBash(t, branch)
		if want := config.ReleaseOf(branch); releases[0] != want {
			t.Errorf("bash takes %q for a branch of %q, Go for one of %q", branch, releases[0], want)
		}
		if want, _ := config.Ordinal(releases[0]); ordinals[0] != want {
			t.Errorf("bash counts %q as %d, Go as %d", releases[0], ordinals[0], want)
		}
	})
}
