package debstack

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestNarratorCondensesABuild(t *testing.T) {
	g := NewWithT(t)
	n := &narrator{}
	var told []string
	for _, line := range []string{
		"I: installing essential packages...",
		"0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.",
		"Get:1 http://mirror.invalid/debian trixie InRelease [140 kB]",
		"Get:1 http://mirror.invalid/debian trixie/main amd64 libc6 amd64 2.41-12 [2847 kB]",
		"Get:2 http://mirror.invalid/debian trixie/main amd64 bash amd64 5.2.37-2+b10 [1501 kB]",
		"Selecting previously unselected package bash.",
		"Unpacking bash (5.2.37-2+b10) ...",
		"Setting up libc6:amd64 (2.41-12) ...",
		"I: running --customize-hook in shell: sh -c 'sh /somewhere/customize.sh' exec /somewhere/root",
		"I: cleaning package lists and apt cache...",
	} {
		n.line(line)
		told = append(told, n.text())
		n.mu.Lock()
		n.since = n.since.AddDate(1000, 0, 0) // No age in this test.
		n.mu.Unlock()
	}
	g.Expect(told).To(HaveExactElements(
		HavePrefix("installing essential packages"),
		HavePrefix("installing essential packages"),
		HavePrefix("installing essential packages"),
		"installing essential packages: 2 packages, 16 %, fetching libc6",
		"installing essential packages: 2 packages, 33 %, fetching bash",
		"installing essential packages: 2 packages, 33 %, fetching bash",
		"installing essential packages: 2 packages, 50 %, unpacking bash",
		"installing essential packages: 2 packages, 66 %, setting up libc6",
		"making the root ready for any run",
		"cleaning package lists and apt cache",
	))
}

func TestNarratorIsNeverSilentForLong(t *testing.T) {
	g := NewWithT(t)
	lines := make(chan string, 100)
	n := startNarrator(func(line string) { lines <- line })
	defer n.stop()
	g.Expect(<-lines).To(Equal("starting mmdebstrap"))
	g.Expect(<-lines).To(MatchRegexp(`^starting mmdebstrap \([34]s\)$`), "though nothing was printed")
}
