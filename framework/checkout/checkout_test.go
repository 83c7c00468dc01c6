package checkout_test

import (
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/checkout"
)

// origin is a repository with branches, a tag and a change under review.
type origin struct {
	t   *testing.T
	dir string
}

func newOrigin(t *testing.T) *origin {
	t.Helper()
	for name, value := range map[string]string{
		"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
	} {
		t.Setenv(name, value)
	}
	o := &origin{t, filepath.Join(t.TempDir(), "origin")}
	run(t, "", "init", "--quiet", "--initial-branch=master", o.dir)
	o.commit("first")
	run(t, o.dir, "branch", "stable/2025.1")
	run(t, o.dir, "checkout", "--quiet", "--detach")
	o.commit("change under review")
	run(t, o.dir, "update-ref", "refs/changes/12/34512/3", "HEAD")
	run(t, o.dir, "checkout", "--quiet", "master")
	o.commit("second")
	run(t, o.dir, "tag", "1.0")
	run(t, o.dir, "branch", "unmaintained/zed")
	o.commit("third")
	return o
}

func (o *origin) commit(text string) {
	o.t.Helper()
	NewWithT(o.t).Expect(os.WriteFile(filepath.Join(o.dir, "file"), []byte(text+"\n"), 0o644)).To(Succeed())
	run(o.t, o.dir, "add", "file")
	run(o.t, o.dir, "commit", "--quiet", "--message="+text)
}

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	command := osexec.CommandContext(t.Context(), "git", args...)
	command.Dir = dir
	out, err := command.CombinedOutput()
	NewWithT(t).Expect(err).NotTo(HaveOccurred(), "git %v: %s", args, out)
	return strings.TrimSpace(string(out))
}

func content(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "file"))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return strings.TrimSpace(string(text))
}

func TestEveryKindOfRefIsCheckedOut(t *testing.T) {
	o := newOrigin(t)
	tip := run(t, o.dir, "rev-parse", "unmaintained/zed")
	for ref, want := range map[string]string{
		"master": "third", "stable/2025.1": "first", "1.0": "second", "refs/heads/master": "third", "refs/tags/1.0": "second",
		"refs/changes/12/34512/3": "change under review", tip: "second",
	} {
		t.Run(ref, func(t *testing.T) {
			g := NewWithT(t)
			dir := filepath.Join(t.TempDir(), "plugins", "heat")
			state, err := checkout.Git{}.Ensure(t.Context(), checkout.Source{URL: o.dir, Ref: ref, Dir: dir})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(content(t, dir)).To(Equal(want))
			g.Expect(state).To(Equal(checkout.State{Dir: dir, Commit: run(t, dir, "rev-parse", "HEAD"), Subject: want, Ours: true}))
		})
	}
}

func TestACheckoutThatIsThereStays(t *testing.T) {
	g := NewWithT(t)
	o := newOrigin(t)
	source := checkout.Source{URL: "file://" + o.dir, Ref: "master", Dir: filepath.Join(t.TempDir(), "heat")}
	ensure := func(how checkout.Git) (checkout.State, error) { return how.Ensure(t.Context(), source) }

	_, err := ensure(checkout.Git{})
	g.Expect(err).NotTo(HaveOccurred())
	o.commit("fourth")

	state, err := ensure(checkout.Git{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(state.Subject).To(Equal("third"))

	state, err = ensure(checkout.Git{Anew: true, Offline: true})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(state.Subject).To(Equal("third"))

	state, err = ensure(checkout.Git{Anew: true, Never: true})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(state.Subject).To(Equal("fourth"))

	// Upstream leaves the old branch in its place without a word.
	source.Ref = "1.0"
	_, err = ensure(checkout.Git{Offline: true})
	g.Expect(err).To(MatchError(ContainSubstring("OFFLINE forbids to fetch another")))
	state, err = ensure(checkout.Git{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(state.Subject).To(Equal("second"))
}

func TestWorkIsNotLost(t *testing.T) {
	o := newOrigin(t)
	for name, test := range map[string]struct {
		work func(t *testing.T, dir string)
		want string
	}{
		"a change": {
			work: func(t *testing.T, dir string) {
				t.Helper()
				NewWithT(t).Expect(os.WriteFile(filepath.Join(dir, "file"), []byte("mine\n"), 0o644)).To(Succeed())
			},
			want: "it has changes (M file …), which would be lost",
		},
		"a commit on no branch": {
			work: func(t *testing.T, dir string) {
				t.Helper()
				run(t, dir, "commit", "--quiet", "--allow-empty", "--message=mine")
			},
			want: "is on no branch and would be lost",
		},
		"a commit on a branch": {
			work: func(t *testing.T, dir string) {
				t.Helper()
				run(t, dir, "checkout", "--quiet", "-b", "mine")
				run(t, dir, "commit", "--quiet", "--allow-empty", "--message=mine")
			},
		},
		"a file that git does not know": {
			work: func(t *testing.T, dir string) {
				t.Helper()
				NewWithT(t).Expect(os.WriteFile(filepath.Join(dir, "new"), nil, 0o644)).To(Succeed())
			},
		},
		"nothing": {work: func(*testing.T, string) {}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			source := checkout.Source{URL: o.dir, Ref: "refs/changes/12/34512/3", Dir: filepath.Join(t.TempDir(), "heat")}
			_, err := checkout.Git{}.Ensure(t.Context(), source)
			g.Expect(err).NotTo(HaveOccurred())
			test.work(t, source.Dir)
			before := run(t, source.Dir, "rev-parse", "HEAD")

			_, err = checkout.Git{Anew: true}.Ensure(t.Context(), source)
			if test.want == "" {
				g.Expect(err).NotTo(HaveOccurred())
				return
			}
			g.Expect(err).To(MatchError(ContainSubstring(test.want)))
			g.Expect(run(t, source.Dir, "rev-parse", "HEAD")).To(Equal(before))
		})
	}
}

func TestWhatCannotBeFetchedIsExplained(t *testing.T) {
	o := newOrigin(t)
	for name, test := range map[string]struct {
		how  checkout.Git
		url  string
		ref  string
		want []string
	}{
		"offline":          {how: checkout.Git{Offline: true}, ref: "master", want: []string{"it is not there, and OFFLINE forbids to fetch it"}},
		"no clones":        {how: checkout.Git{Never: true}, ref: "master", want: []string{"ERROR_ON_CLONE forbids to clone it"}},
		"another branch":   {ref: "stable/zed", want: []string{"the repository has: unmaintained/zed"}},
		"no such branch":   {ref: "stable/yoga", want: []string{"the repository has no branch or tag like yoga"}},
		"no repository":    {url: "/nowhere/at/all", ref: "master", want: []string{"/nowhere/at/all", "exit code 128"}},
		"a secret":         {url: "http://somebody:hush@127.0.0.1:1/x", ref: "master", want: []string{"http://127.0.0.1:1/x"}},
		"a program as URL": {url: "ext::sh -c touch% ./ran", ref: "master", want: []string{"transport 'ext' not allowed"}},
		"an option as ref": {ref: "--upload-pack=touch ran", want: []string{"git fetch: exit code"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			t.Chdir(t.TempDir())
			if test.url == "" {
				test.url = o.dir
			}
			dir := filepath.Join(t.TempDir(), "plugins", "heat")
			_, err := test.how.Ensure(t.Context(), checkout.Source{URL: test.url, Ref: test.ref, Dir: dir})
			for _, want := range test.want {
				g.Expect(err).To(MatchError(ContainSubstring(want)))
			}
			g.Expect(err).NotTo(MatchError(ContainSubstring("hush")))
			entries, _ := filepath.Glob(filepath.Dir(dir) + "/*")
			g.Expect(entries).To(BeEmpty(), "nothing that looks like a checkout is left")
			g.Expect("ran").NotTo(BeAnExistingFile())
		})
	}
}

func TestLook(t *testing.T) {
	t.Run("at what is no checkout of its own", func(t *testing.T) {
		g := NewWithT(t)
		o := newOrigin(t)
		dir := filepath.Join(o.dir, "below")
		g.Expect(os.Mkdir(dir, 0o755)).To(Succeed())
		g.Expect(checkout.Git{}.Look(t.Context(), dir)).To(Equal(checkout.State{Dir: dir}))
		g.Expect(checkout.Git{Anew: true}.Ensure(t.Context(), checkout.Source{URL: o.dir, Ref: "master", Dir: dir})).To(Equal(checkout.State{Dir: dir}))
	})
	t.Run("at changes", func(t *testing.T) {
		g := NewWithT(t)
		o := newOrigin(t)
		g.Expect(os.WriteFile(filepath.Join(o.dir, "file"), []byte("mine\n"), 0o644)).To(Succeed())
		state, err := checkout.Git{}.Look(t.Context(), o.dir)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(state.Changed).To(BeTrue())
		g.Expect(state.Ours).To(BeFalse())
	})
	t.Run("at somebody else's", func(t *testing.T) {
		g := NewWithT(t)
		if os.Geteuid() != 0 {
			t.Skip("only root can give files away")
		}
		o := newOrigin(t)
		run(t, o.dir, "config", "core.fsmonitor", "touch "+o.dir+"/ran; false")
		g.Expect(os.WriteFile(filepath.Join(o.dir, ".git/hooks/post-checkout"), []byte("#!/bin/sh\ntouch "+o.dir+"/ran\n"), 0o755)).To(Succeed())
		g.Expect(filepath.Walk(o.dir, func(path string, _ os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, 12345, 12345)
		})).To(Succeed())
		state, err := checkout.Git{}.Look(t.Context(), o.dir)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(state.Commit).To(HaveLen(40))
		dir := filepath.Join(t.TempDir(), "clone")
		_, err = checkout.Git{}.Ensure(t.Context(), checkout.Source{URL: o.dir, Ref: "master", Dir: dir})
		g.Expect(err).NotTo(HaveOccurred())
		_, err = checkout.Git{Anew: true}.Ensure(t.Context(), checkout.Source{URL: dir, Ref: "refs/remotes/origin/unmaintained/zed", Dir: o.dir})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(content(t, o.dir)).To(Equal("second"))
		g.Expect(filepath.Join(o.dir, "ran")).NotTo(BeAnExistingFile(), "what a checkout holds does not run here")
	})
}

// A killed clone leaves a directory that the next one removes.
func TestAnInterruptedCloneIsMadeAnew(t *testing.T) {
	g := NewWithT(t)
	o := newOrigin(t)
	dir := filepath.Join(t.TempDir(), "heat")
	g.Expect(os.MkdirAll(filepath.Join(dir+".part", ".git"), 0o755)).To(Succeed())
	_, err := checkout.Git{}.Ensure(t.Context(), checkout.Source{URL: o.dir, Ref: "master", Dir: dir})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(content(t, dir)).To(Equal("third"))
	g.Expect(dir + ".part").NotTo(BeADirectory())
}

func TestTheCallersConfigurationCounts(t *testing.T) {
	g := NewWithT(t)
	o := newOrigin(t)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("GIT_DIR", "/elsewhere")
	g.Expect(os.WriteFile(filepath.Join(home, ".gitconfig"), fmt.Appendf(nil, "[url %q]\n\tinsteadOf = https://forge.example/\n", filepath.Dir(o.dir)+"/"), 0o600)).To(Succeed())
	dir := filepath.Join(t.TempDir(), "heat")
	_, err := checkout.Git{}.Ensure(t.Context(), checkout.Source{URL: "https://forge.example/origin", Ref: "1.0", Dir: dir})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(content(t, dir)).To(Equal("second"))
}

func TestPublicHidesWhoLogsIn(t *testing.T) {
	for url, want := range map[string]string{
		"https://opendev.org/openstack/heat":     "https://opendev.org/openstack/heat",
		"https://me:hush@forge.example/heat":     "https://forge.example/heat",
		"https://me:hu@sh@forge.example/heat":    "https://forge.example/heat",
		"ssh://git@forge.example:22/heat master": "ssh://forge.example:22/heat master",
		"https://token@forge.example":            "https://forge.example",
		"/home/me@work/heat":                     "/home/me@work/heat",
		"file:///home/me@work/heat":              "file:///home/me@work/heat",
	} {
		t.Run(url, func(t *testing.T) { NewWithT(t).Expect(checkout.Public(url)).To(Equal(want)) })
	}
}
