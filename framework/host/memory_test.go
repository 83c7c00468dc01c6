package host

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestMemoryUsed(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want int64
		err  string
	}{
		"in use":         {"MemTotal:  1000 kB\nMemFree: 10 kB\nMemAvailable:     400 kB\nHugePages_Total: 0\n", 600 << 10, ""},
		"an old kernel":  {"MemTotal:  1000 kB\nMemFree: 10 kB\n", 0, "no MemAvailable"},
		"something else": {"x\n", 0, "no MemTotal"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			path := filepath.Join(t.TempDir(), "meminfo")
			g.Expect(os.WriteFile(path, []byte(test.text), 0o600)).To(Succeed())
			used, err := memoryUsed(path)
			if test.err != "" {
				g.Expect(err).To(MatchError(ContainSubstring(test.err)))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(used).To(Equal(test.want))
		})
	}
}

func TestThisMachinesMemoryCanBeRead(t *testing.T) {
	g := NewWithT(t)
	watch, err := WatchMemory(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(watch.Peak()).To(BeNumerically(">=", 0))
}
