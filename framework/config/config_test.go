package config_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
)

func TestLoadFillsConfig(t *testing.T) {
	g := NewWithT(t)
	c, err := config.Load(t.Context(), config.Sources{
		Environ: []string{
			"HOME=/home/u", "STACK_ROOT=/srv/s/", "KEEP=always", "RESUME=1", "SERVICE_TIMEOUT=7", "SCRIPT_TIMEOUT=1m30s",
			"RUN_TARGET=no", "VERIFY_RESOURCES=FALSE", "BASE_RUN_SMOKE=no", "NODE_ADDRESS=192.168.7.9/24",
			"DEBIAN_MIRROR=https://user:hush@mirror.example/debian/", "TARGET_DEVSTACK_BRANCH=stable/zed",
		},
		ResultsDir: "/some/results",
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(c.StackRoot).To(Equal("/srv/s"))
	g.Expect(c.SaveDir).To(Equal("/srv/s/save"))
	g.Expect(c.ResultsDir).To(Equal("/some/results"))
	g.Expect(c.CacheDir).To(Equal("/home/u/.cache/grenade"))
	g.Expect(c.Keep).To(Equal(config.KeepAlways))
	g.Expect([]bool{c.Resume, c.RunBase, c.RunTarget, c.VerifyResources}).
		To(Equal([]bool{true, true, false, false}))
	g.Expect(c.ServiceTimeout).To(Equal(7 * time.Second))
	g.Expect(c.ScriptTimeout).To(Equal(90 * time.Second))
	g.Expect(c.SuiteTimeout).To(Equal(time.Hour))
	g.Expect(c.NodeAddress.String()).To(Equal("192.168.7.9/24"))
	g.Expect(c.DebianMirror).To(Equal("https://user:hush@mirror.example/debian"))
	g.Expect(c.Secrets()).To(ConsistOf("hush"))
	g.Expect(c.Base.Name).To(Equal("zed"))
	g.Expect(c.Target.Name).To(Equal("zed"))
	g.Expect(c.SkipRelease).To(BeFalse())
}

func TestDefaultPairNeedsTheSkipReleaseWorkaround(t *testing.T) {
	g := NewWithT(t)
	c, err := config.Load(t.Context(), config.Sources{Environ: []string{"HOME=/h"}, Dirs: []string{t.TempDir()}})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(c.SkipRelease).To(BeTrue())
}

func TestNodeAddress(t *testing.T) {
	for address, why := range map[string]string{
		"10.0.0.1": "is none", "fd00::2/64": "is not IPv4", "10.0.0.1/31": "no room", "10.0.0.1/4": "no room",
		"8.8.8.8/24": "not a private", "10.0.0.255/24": "broadcast", "10.0.3.255/22": "broadcast", "10.0.0.8/29": "network itself", "host": "is none",
	} {
		t.Run(address, func(t *testing.T) {
			g := NewWithT(t)
			_, err := config.Load(t.Context(), config.Sources{
				Environ: []string{"HOME=/h", "NODE_ADDRESS=" + address}, Dirs: []string{t.TempDir()},
			})
			g.Expect(config.IsMistake(err)).To(BeTrue())
			g.Expect(err).To(MatchError(ContainSubstring(why)))
		})
	}
}

func TestLoadStopsWithItsContext(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	g.Expect(os.WriteFile(filepath.Join(dir, "localrc"), []byte("sleep 60\n"), 0o600)).To(Succeed())
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := config.Load(ctx, config.Sources{Environ: []string{"HOME=/h"}, Dirs: []string{dir}})
	g.Expect(err).To(MatchError(context.DeadlineExceeded))
	g.Expect(config.IsMistake(err)).To(BeFalse(), "the user did nothing wrong")
}

func TestMistakes(t *testing.T) {
	g := NewWithT(t)
	a, b := &config.Mistake{File: "f", Line: 3, Message: "m"}, &config.Mistake{Message: "n"}
	joined := fmt.Errorf("outer: %w", errors.Join(a, io.EOF, fmt.Errorf("inner: %w", b)))
	g.Expect(config.Mistakes(joined)).To(Equal([]*config.Mistake{a, b}))
	g.Expect(config.IsMistake(joined)).To(BeTrue())
	g.Expect(config.IsMistake(io.EOF)).To(BeFalse())
	g.Expect(config.Mistakes(nil)).To(BeEmpty())
	g.Expect(a.Error()).To(Equal("f:3: m"))
	g.Expect((&config.Mistake{File: config.Environment, Message: "m"}).Error()).To(Equal("environment: m"))
}

// Documentation is made from the table, so every setting is in it.
func TestDocumentationHoldsEverySetting(t *testing.T) {
	g := NewWithT(t)
	g.Expect(config.Settings()).To(HaveLen(39))
	for _, s := range config.Settings() {
		g.Expect(s.Help).NotTo(BeEmpty(), s.Name)
		g.Expect(config.Help()).To(ContainSubstring("  " + s.Name + "=" + s.Default + "\n"))
		g.Expect(config.Markdown()).To(ContainSubstring("| `" + s.Name + "` |"))
	}
	for _, line := range strings.Split(strings.TrimSpace(config.Markdown()), "\n") {
		g.Expect(strings.Count(line, "|")).To(Equal(4), line)
	}
	g.Expect(config.ReleasesMarkdown()).To(ContainSubstring("| `stable/2025.1` | epoxy | 2025.1 | trixie | yes |"))
}
