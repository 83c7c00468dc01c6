package host_test

import (
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/host"
)

func TestExclusiveLetsOneInAndTheNextWhenItIsReleased(t *testing.T) {
	g := NewWithT(t)
	dir := filepath.Join(t.TempDir(), "stack")

	release, err := host.Exclusive(t.Context(), dir, 0, func() { t.Error("nobody holds it, so there is nothing to wait for") })
	g.Expect(err).NotTo(HaveOccurred())

	_, err = host.Exclusive(t.Context(), dir, 0, func() {})
	g.Expect(err).To(MatchError(host.ErrBusy))

	waited := false
	second, err := host.Exclusive(t.Context(), dir, time.Minute, func() {
		waited = true
		g.Expect(release()).To(Succeed())
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(waited).To(BeTrue())
	g.Expect(second()).To(Succeed())
}
