package debstack

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestEnsureBuildsOnceAndReuses(t *testing.T) {
	g := NewWithT(t)
	b := newBench(t)

	first := b.ensure(t)
	g.Expect(first.New).To(BeTrue())
	g.Expect(first.Packages).To(Equal(map[string]string{"true": "1.0-1"}))
	g.Expect(filepath.Join(first.Path, "usr/bin/true")).To(BeARegularFile())
	g.Expect(first.Release()).To(Succeed())

	second := b.ensure(t)
	g.Expect(second.New).To(BeFalse())
	g.Expect(second.Path).To(Equal(first.Path))
	g.Expect(b.builder.builds()).To(Equal(1))
}

func TestEnsureTellsPackageSetsApart(t *testing.T) {
	g := NewWithT(t)
	b := newBench(t)
	keys, logs := map[string]bool{}, map[string]bool{}
	b.builder.during = func(_ context.Context, order BuildOrder) error {
		logs[order.Log] = true
		return nil
	}
	for _, packages := range [][]string{{"keystone", "glance"}, {"glance", "keystone", "glance"}, {"keystone"}} {
		root, err := b.Ensure(t.Context(), Want{Suite: "bookworm", Packages: packages}, nil)
		g.Expect(err).NotTo(HaveOccurred())
		keys[root.Key] = true
	}
	g.Expect(keys).To(HaveLen(2))
	g.Expect(b.builder.builds()).To(Equal(2))
	g.Expect(logs).To(HaveLen(2), "they may be built at the same time")
}

func TestEnsureRebuildsWhenTheArchiveMoved(t *testing.T) {
	g := NewWithT(t)
	b := newBench(t)
	old := b.ensure(t)
	g.Expect(old.Release()).To(Succeed())

	b.archives.become("bbbbbbbbbbbbbbbb", nil)
	now := b.ensure(t)
	g.Expect(now.New).To(BeTrue())
	g.Expect(now.Key).NotTo(Equal(old.Key))
	g.Expect(b.content(t)).To(Equal([]string{now.Key}), "the superseded root is removed")
	g.Expect(b.said()).To(ContainElement(ContainSubstring("the archive has moved")))
}

func TestSupersededRootInUseStaysUntilReleased(t *testing.T) {
	g := NewWithT(t)
	b := newBench(t)
	old := b.ensure(t)

	b.archives.become("bbbbbbbbbbbbbbbb", nil)
	g.Expect(b.ensure(t).Release()).To(Succeed())
	g.Expect(filepath.Join(old.Path, "usr/bin/true")).To(BeARegularFile())
	g.Expect(b.said()).To(ContainElement(ContainSubstring("still in use")))

	g.Expect(old.Release()).To(Succeed())
	b.archives.become("cccccccccccccccc", nil)
	now := b.ensure(t)
	g.Expect(b.content(t)).To(Equal([]string{now.Key}))
	g.Expect(old.Hold()).To(MatchError(ErrEnvironment), "it is gone")
}

func TestEnsureFilesTheRootUnderTheStateItWasBuiltFrom(t *testing.T) {
	g := NewWithT(t)
	b := newBench(t)
	b.builder.during = func(context.Context, BuildOrder) error {
		return nil
	}
	// The archive moves after it was asked and before the packages are fetched.
	asked := &fakeArchives{digest: "0000000000000000"}
	b.Archives = asked
	root := b.ensure(t)
	g.Expect(root.Digest).To(Equal("aaaaaaaaaaaaaaaa"))
	g.Expect(root.Release()).To(Succeed())

	b.Archives = b.archives
	g.Expect(b.ensure(t).New).To(BeFalse())
}

func TestBrokenEntryIsRebuilt(t *testing.T) {
	for name, test := range map[string]struct {
		breakIt func(entry string) error
		why     string
	}{
		"no manifest":     {func(e string) error { return os.Remove(filepath.Join(e, manifestFile)) }, "manifest cannot be read"},
		"half a manifest": {func(e string) error { return os.Truncate(filepath.Join(e, manifestFile), 20) }, "manifest cannot be read"},
		"manifest of old": {func(e string) error {
			return os.WriteFile(filepath.Join(e, manifestFile), []byte(`{"version":0}`), 0o600)
		}, "version 0"},
		"no tree":           {func(e string) error { return os.RemoveAll(filepath.Join(e, rootDir)) }, "files cannot be read"},
		"a file is gone":    {func(e string) error { return os.Remove(filepath.Join(e, "root/usr/bin/true")) }, "files have changed"},
		"a file is cut":     {func(e string) error { return os.Truncate(filepath.Join(e, "root/usr/bin/true"), 1) }, "files have changed"},
		"a file is new":     {func(e string) error { return writeFile(filepath.Join(e, "root/usr/bin/false"), "") }, "files have changed"},
		"a mode is changed": {func(e string) error { return os.Chmod(filepath.Join(e, "root/usr/bin/true"), 0o4755) }, "files have changed"},
		"no hold file":      {func(e string) error { return os.Remove(filepath.Join(e, holdFile)) }, "cannot be held"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			b := newBench(t)
			root := b.ensure(t)
			g.Expect(root.Release()).To(Succeed())
			g.Expect(test.breakIt(filepath.Dir(root.Path))).To(Succeed())

			again := b.ensure(t)
			g.Expect(again.New).To(BeTrue())
			g.Expect(filepath.Join(again.Path, "usr/bin/true")).To(BeARegularFile())
			g.Expect(b.said()).To(ContainElement(And(ContainSubstring("broken"), ContainSubstring(test.why))))
			g.Expect(b.content(t)).To(Equal([]string{again.Key}))
			g.Expect(again.Release()).To(Succeed())
			g.Expect(b.ensure(t).New).To(BeFalse())
		})
	}
}

func TestOfflineUsesTheNewestRootAndSaysItsAge(t *testing.T) {
	g := NewWithT(t)
	b := newBench(t)
	root := b.ensure(t)
	g.Expect(root.Release()).To(Succeed())
	entry := filepath.Dir(root.Path)
	m, err := readManifest(entry)
	g.Expect(err).NotTo(HaveOccurred())
	m.Built = time.Now().Add(-72 * time.Hour)
	g.Expect(writeManifest(entry, m)).To(Succeed())

	b.archives.become("", errNoNetwork)
	cached := b.ensure(t)
	g.Expect(cached.Offline).To(BeTrue())
	g.Expect(cached.Age).To(BeNumerically("~", 72*time.Hour, time.Minute))
	g.Expect(cached.Why).To(MatchError(errNoNetwork))
	g.Expect(b.said()).To(ContainElement(And(ContainSubstring("3 days"), ContainSubstring(errNoNetwork.Error()))))
	g.Expect(b.builder.builds()).To(Equal(1))
}

func TestOfflineWithoutAUsableRootIsOneError(t *testing.T) {
	g := NewWithT(t)
	b := newBench(t)
	b.archives.become("", errNoNetwork)
	_, err := b.try(t.Context())
	g.Expect(err).To(MatchError(And(ContainSubstring("bookworm"), ContainSubstring(errNoNetwork.Error()), ContainSubstring("holds none"))))
	g.Expect(err).To(MatchError(ErrEnvironment))

	b.archives.become("aaaaaaaaaaaaaaaa", nil)
	root := b.ensure(t)
	g.Expect(root.Release()).To(Succeed())
	g.Expect(os.Remove(filepath.Join(root.Path, "usr/bin/true"))).To(Succeed())
	b.archives.become("", errNoNetwork)
	_, err = b.try(t.Context())
	g.Expect(err).To(MatchError(And(ContainSubstring(errNoNetwork.Error()), ContainSubstring("broken"), ContainSubstring("files have changed"))))
}

func TestFailedBuildLeavesNothing(t *testing.T) {
	g := NewWithT(t)
	b := newBench(t)
	failure := errors.New("mmdebstrap ended with exit code 25")
	b.builder.during = func(context.Context, BuildOrder) error { return failure }
	_, err := b.try(t.Context())
	g.Expect(err).To(MatchError(failure))
	g.Expect(err).To(MatchError(ErrEnvironment))
	g.Expect(b.content(t)).To(BeEmpty())

	b.builder.during = nil
	g.Expect(b.ensure(t).New).To(BeTrue(), "the lock is free again")
}

func TestFailedRebuildKeepsTheOldRoot(t *testing.T) {
	g := NewWithT(t)
	b := newBench(t)
	old := b.ensure(t)
	g.Expect(old.Release()).To(Succeed())
	b.archives.become("bbbbbbbbbbbbbbbb", nil)
	b.builder.during = func(context.Context, BuildOrder) error { return errors.New("no") }
	_, err := b.try(t.Context())
	g.Expect(err).To(HaveOccurred())
	g.Expect(b.content(t)).To(Equal([]string{old.Key}))
}

func TestCancelledBuildLeavesNothing(t *testing.T) {
	g := NewWithT(t)
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.builder.during = func(context.Context, BuildOrder) error { cancel(); return nil }
	_, err := b.try(ctx)
	g.Expect(err).To(MatchError(context.Canceled))
	g.Expect(err).NotTo(MatchError(ErrEnvironment), "nobody's fault")
	g.Expect(b.content(t)).To(BeEmpty())
}

func TestHalfBuiltLeftoverIsRemoved(t *testing.T) {
	g := NewWithT(t)
	b := newBench(t)
	root := b.ensure(t)
	g.Expect(root.Release()).To(Succeed())
	set, _, _ := cutSet(root.Key)
	building, removing := buildingPrefix+set+"4711-123", removingPrefix+set+"456"
	for _, name := range []string{building, removing} {
		g.Expect(writeFile(filepath.Join(b.Entries(), name, "root/usr/bin/half"), "x")).To(Succeed())
	}
	b.archives.become("", errNoNetwork) // It is removed even when there is nothing to build.
	cached := b.ensure(t)
	g.Expect(b.content(t)).To(Equal([]string{cached.Key}))
	g.Expect(b.builder.abandoned).To(Equal([]string{building}), "what still runs there is ended first")
}

func TestBuildInProgressIsNoLeftover(t *testing.T) {
	g := NewWithT(t)
	b := newBench(t)
	set := setPrefix("trixie", "01234567")
	name := buildingPrefix + set + "1-1"
	g.Expect(writeFile(filepath.Join(b.Entries(), name, "root/usr/bin/half"), "x")).To(Succeed())
	builder, err := tryLock(b.lockFile(set), true, true)
	g.Expect(err).NotTo(HaveOccurred())

	root := b.ensure(t)
	g.Expect(b.content(t)).To(ConsistOf(name, root.Key))
	g.Expect(builder.release()).To(Succeed())
	g.Expect(root.Release()).To(Succeed())
	root = b.ensure(t)
	g.Expect(b.content(t)).To(Equal([]string{root.Key}))
}

func TestSecondProcessWaitsForTheFirst(t *testing.T) {
	g := NewWithT(t)
	b := newBench(t)
	started, proceed := make(chan struct{}), make(chan struct{})
	b.builder.during = func(context.Context, BuildOrder) error { close(started); <-proceed; return nil }

	roots := make(chan *Root, 2)
	run := func(progress func(string)) {
		root, err := b.Ensure(t.Context(), Want{Suite: "bookworm", Packages: []string{"keystone"}}, progress)
		if err != nil {
			t.Error(err)
		}
		roots <- root
	}
	go run(nil)
	g.Eventually(started, time.Minute).Should(BeClosed())
	waits := make(chan string, 1)
	go run(func(line string) {
		if strings.Contains(line, "waiting for it") {
			select {
			case waits <- line:
			default:
			}
		}
	})
	// The lock's file says who builds: this very process, as both are in it.
	g.Eventually(waits, time.Minute).Should(Receive(ContainSubstring("process %d is building", os.Getpid())))
	close(proceed)
	var one, other *Root
	g.Eventually(roots, time.Minute).Should(Receive(&one))
	g.Eventually(roots, time.Minute).Should(Receive(&other))
	g.Expect(one.Path).To(Equal(other.Path))
	g.Expect([]bool{one.New, other.New}).To(ConsistOf(true, false))
	g.Expect(b.builder.builds()).To(Equal(1))
}

func TestWaitForTheFirstCanBeCancelled(t *testing.T) {
	g := NewWithT(t)
	b := newBench(t)
	held, err := waitLock(t.Context(), filepath.Join(t.TempDir(), "lock"), nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(held.release()).To(Succeed())

	root := b.ensure(t)
	set, _, _ := cutSet(root.Key)
	g.Expect(root.Release()).To(Succeed())
	builder, err := tryLock(b.lockFile(set), true, true)
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = builder.release() }()
	b.archives.become("bbbbbbbbbbbbbbbb", nil)
	ctx, cancel := context.WithCancel(t.Context())
	_, err = b.Ensure(ctx, Want{Suite: "bookworm", Packages: []string{"keystone"}}, func(line string) {
		if strings.Contains(line, "waiting") {
			cancel()
		}
	})
	g.Expect(err).To(MatchError(context.Canceled))
	g.Expect(b.builder.builds()).To(Equal(1))
}

func TestTooLittleDiskSpace(t *testing.T) {
	g := NewWithT(t)
	b := newBench(t)
	b.NeedBytes = 1 << 60
	_, err := b.try(t.Context())
	g.Expect(err).To(MatchError(And(ContainSubstring(b.Entries()), ContainSubstring("a root needs 1152921504.6 GB"), ContainSubstring("left"))))
	g.Expect(err).To(MatchError(ErrEnvironment))
	g.Expect(b.builder.builds()).To(BeZero())
	g.Expect(b.content(t)).To(BeEmpty())
}

func TestCleanRemovesEverythingButWhatIsInUse(t *testing.T) {
	g := NewWithT(t)
	b := newBench(t)
	root := b.ensure(t)
	g.Expect(writeFile(filepath.Join(b.Entries(), buildingPrefix+"trixie-01234567-1-1", "root/x"), "x")).To(Succeed())

	removed, err := b.Clean(t.Context())
	g.Expect(err).To(MatchError(And(ContainSubstring("in use"), ContainSubstring(root.Key))))
	g.Expect(removed).To(BeEmpty())
	g.Expect(b.content(t)).To(Equal([]string{root.Key}))

	g.Expect(root.Release()).To(Succeed())
	removed, err = b.Clean(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(removed).To(Equal([]string{root.Key}))
	g.Expect(b.Cache.Dir).NotTo(BeADirectory())

	_, err = b.Clean(t.Context())
	g.Expect(err).NotTo(HaveOccurred(), "an empty cache is clean")
}

func TestFingerprint(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	g.Expect(writeFile(filepath.Join(dir, "a/b/c"), "text")).To(Succeed())
	g.Expect(os.Symlink("b", filepath.Join(dir, "a/link"))).To(Succeed())
	take := func() Fingerprint {
		t.Helper()
		f, err := TakeFingerprint(t.Context(), dir)
		g.Expect(err).NotTo(HaveOccurred())
		return f
	}
	before := take()
	g.Expect(before.Entries).To(Equal(4))
	g.Expect(take()).To(Equal(before))

	file := filepath.Join(dir, "a/b/c")
	info, err := os.Stat(file)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.WriteFile(file, []byte("TEXT"), 0o644)).To(Succeed())
	g.Expect(os.Chtimes(file, time.Time{}, info.ModTime().Add(time.Nanosecond))).To(Succeed())
	g.Expect(take().Same(before)).To(BeFalse(), "same size, other time")
	g.Expect(os.Chtimes(file, time.Time{}, info.ModTime())).To(Succeed())
	g.Expect(take().Same(before)).To(BeTrue())

	g.Expect(os.Remove(filepath.Join(dir, "a/link"))).To(Succeed())
	g.Expect(os.Symlink("b/c", filepath.Join(dir, "a/link"))).To(Succeed())
	g.Expect(take().Same(before)).To(BeFalse(), "a link elsewhere")

	_, err = TakeFingerprint(t.Context(), filepath.Join(dir, "missing"))
	g.Expect(err).To(MatchError(os.ErrNotExist))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = TakeFingerprint(ctx, dir)
	g.Expect(err).To(MatchError(context.Canceled))
}
