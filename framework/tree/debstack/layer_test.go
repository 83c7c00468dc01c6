package debstack

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
)

func layerSettings(dir string) *config.Config {
	return &config.Config{
		BaseLayer: dir, StackRoot: "/opt/stack",
		NodeAddress: netip.MustParsePrefix("10.99.0.2/24"), FloatingRange: netip.MustParsePrefix("172.24.4.0/24"),
	}
}

func writeLayer(t *testing.T, change func(*layer)) string {
	t.Helper()
	g, dir := NewWithT(t), t.TempDir()
	l := layer{Services: []string{"keystone", "glance"}, Root: "bookworm-1-2", Address: "10.99.0.2/24", Floating: "172.24.4.0/24", StackRoot: "/opt/stack"}
	change(&l)
	content, err := json.Marshal(l)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.WriteFile(filepath.Join(dir, layerFile), content, 0o600)).To(Succeed())
	g.Expect(NewPasswords().Save(dir)).To(Succeed())
	return dir
}

func TestALayerThatFits(t *testing.T) {
	g := NewWithT(t)
	dir := writeLayer(t, func(*layer) {})
	_, passwords, err := openLayer(layerSettings(dir), []string{"glance", "keystone"}, &Root{Key: "bookworm-1-2"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(passwords).To(HaveLen(len(PasswordNames())))
}

func TestALayerThatDoesNotFitIsRefusedWithEveryReason(t *testing.T) {
	g := NewWithT(t)
	dir := writeLayer(t, func(l *layer) { l.Root, l.Address, l.Services = "bookworm-0-0", "10.9.0.2/24", []string{"keystone"} })
	_, _, err := openLayer(layerSettings(dir), []string{"glance", "keystone"}, &Root{Key: "bookworm-1-2"})
	g.Expect(err).To(MatchError(ErrSetting))
	g.Expect(err).To(MatchError(And(
		ContainSubstring("list of services is keystone, and glance keystone is wanted"),
		ContainSubstring("root is bookworm-0-0"), ContainSubstring("NODE_ADDRESS is 10.9.0.2/24"), Not(ContainSubstring("FLOATING_RANGE")))))
}

func TestADirectoryWithoutALayer(t *testing.T) {
	_, _, err := openLayer(layerSettings(t.TempDir()), nil, &Root{})
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("there is no layer")))
}

func TestCopyLayerKeepsWhatAnOverlayNeeds(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("owners and devices need root")
	}
	g, from, to := NewWithT(t), t.TempDir(), filepath.Join(t.TempDir(), "copy")
	g.Expect(os.WriteFile(filepath.Join(from, "file"), []byte("x"), 0o640)).To(Succeed())
	g.Expect(os.Chown(filepath.Join(from, "file"), 1234, 4321)).To(Succeed())
	// A whiteout: what an overlay writes for a file that was removed.
	g.Expect(mknodWhiteout(filepath.Join(from, "gone"))).To(Succeed())
	g.Expect(setOpaque(from)).To(Succeed())
	g.Expect(copyLayer(t.Context(), from, to)).To(Succeed())
	before, err := TakeFingerprint(t.Context(), from)
	g.Expect(err).NotTo(HaveOccurred())
	after, err := TakeFingerprint(t.Context(), to)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(after.Same(before)).To(BeTrue())
	g.Expect(isOpaque(to)).To(BeTrue())
}
