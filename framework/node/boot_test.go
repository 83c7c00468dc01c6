package node_test

import (
	"context"
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/node"
	"grenade/framework/node/nodetest"
)

// TestBootFails: what goes wrong is told at once, with what the console said, and leaves nothing that runs.
func TestBootFails(t *testing.T) {
	replaceInit := func(script string) func(root, upper string) error {
		return func(root, upper string) error {
			return node.PutFile(root, upper, "/usr/lib/systemd/systemd", []byte(script), 0o755)
		}
	}
	for name, c := range map[string]struct {
		prepare func(root, upper string) error
		limit   time.Duration
		says    []string
		within  time.Duration
	}{
		"systemd dies": {
			replaceInit("#!/bin/sh\necho no such luck\nexit 3\n"), 0,
			[]string{"systemd-nspawn ended", "no such luck"}, 10 * time.Second,
		},
		"Prepare fails": {
			func(string, string) error { return errors.New("no disk left") }, 0,
			[]string{"prepare the node's files: no disk left"}, 5 * time.Second,
		},
		"a unit hangs": {
			func(root, upper string) error {
				return errors.Join(nodetest.Prepare(root, upper),
					node.PutFile(root, upper, "/etc/systemd/system/sleepy.service", []byte("[Service]\nType=oneshot\nExecStart=/bin/sleep 1000\n"), 0o644),
					node.PutLink(root, upper, "/etc/systemd/system/multi-user.target.wants/sleepy.service", "../sleepy.service"))
			}, 6 * time.Second,
			[]string{"not ready within 6s", "sleepy.service start running", "state: starting"}, 20 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			config := nodetest.Config(t)
			config.Prepare = func(upper string) error { return c.prepare(config.Root, upper) }
			config.BootTimeout = c.limit
			started := time.Now()
			n, err := node.Start(t.Context(), config)
			g.Expect(n).To(BeNil())
			for _, says := range c.says {
				g.Expect(err).To(MatchError(ContainSubstring(says)))
			}
			g.Expect(time.Since(started)).To(BeNumerically("<", c.within))
			left, err := nodetest.Leftovers(t.Context(), config)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(left).To(ConsistOf("directory "+config.Dir), "the evidence, and nothing else")
			_, err = node.DisposeLeftovers(t.Context(), config.Dir)
			g.Expect(err).NotTo(HaveOccurred())
			expectNothingLeft(t, config)
		})
	}
}

func TestBootIsCancelled(t *testing.T) {
	g := NewWithT(t)
	c := nodetest.Config(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("the user pressed Ctrl-C")
	result := make(chan error, 1)
	go func() {
		_, err := node.Start(ctx, c)
		result <- err
	}()
	g.Eventually(func() bool { return mentions(c.Dir, "leader") }, "60s", "1ms").Should(BeTrue())
	cancel(stop)
	var err error
	g.Eventually(result, "30s").Should(Receive(&err))
	g.Expect(errors.Is(err, stop)).To(BeTrue(), "%v", err)
	_, err = node.DisposeLeftovers(t.Context(), c.Dir)
	g.Expect(err).NotTo(HaveOccurred())
	expectNothingLeft(t, c)
}

func TestMistakesInTheConfiguration(t *testing.T) {
	g := NewWithT(t)
	_, err := node.Start(t.Context(), node.NspawnConfig{
		RunID: "a b", Dir: "relative", Root: t.TempDir(), Machine: "much-too-long-a-name",
		Binds: []node.Bind{{Source: "/nowhere/at/all"}},
	})
	for _, says := range []string{`run id "a b"`, `directory "relative"`, "no root file system with systemd", `name "much-too-long-a-name"`, "address", "/nowhere/at/all"} {
		g.Expect(err).To(MatchError(ContainSubstring(says)), "all of them at once")
	}
}
