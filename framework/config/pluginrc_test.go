package config

import (
	"bytes"
	"net/url"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestPasswordsOfPluginURLsAreSecrets(t *testing.T) {
	g := NewWithT(t)
	c, err := Load(t.Context(), Sources{Dirs: []string{t.TempDir()}, Environ: []string{"HOME=/h", "GRENADE_PLUGINRC=enable_grenade_plugin heat https://me:hush@git.example/heat"}})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(c.Secrets()).To(Equal([]string{"hush"}))
}

// git is asked for every name: what it refuses must not get to it.
func TestGitRefsAreThoseThatGitTakes(t *testing.T) {
	for ref, want := range map[string]bool{
		"master": true, "stable/2025.1": true, "refs/changes/12/34512/3": true, "1.0": true, "a-b_c+d": true, "é": true, "a@b": true,
		"0123456789abcdef0123456789abcdef01234567": true, "HEAD": true, "{": true, "$(x)": true,
		"": false, "-a": false, "a b": false, "a..b": false, "a.lock": false, "a.lock/b": false, ".a": false, "a/.b": false, "/a": false, "a/": false,
		"a//b": false, "a~1": false, "a^": false, "a:b": false, "a?": false, "a*": false, "a[": false, `a\b`: false, "@{u}": false, "@": false, "a.": false, "a\x7f": false, "a\n": false,
	} {
		t.Run(ref, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(checkGitRef(ref) == nil).To(Equal(want))
			g.Expect(gitTakes(t, ref)).To(Equal(want))
		})
	}
}

// gitTakes asks git whether a branch can have that name.
func gitTakes(t *testing.T, ref string) bool {
	t.Helper()
	// A branch must not begin with - nor be @, which a part of a ref may.
	return osexec.CommandContext(t.Context(), "git", "check-ref-format", "refs/heads/"+ref).Run() == nil && !strings.HasPrefix(ref, "-") && ref != "@"
}

// FuzzGitRef: what is accepted is what git takes.
func FuzzGitRef(f *testing.F) {
	for _, seed := range []string{"stable/2025.1", "-a", "a..b", "a@{b", "a/.b", "a.lock", "a b", "\\", "@", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		if strings.Contains(ref, "\x00") {
			t.Skip("no argument holds NUL")
		}
		if accepted := checkGitRef(ref) == nil; accepted != gitTakes(t, ref) {
			t.Errorf("%q: accepted: %v, git takes it: %v", ref, accepted, !accepted)
		}
	})
}

// FuzzGitURL: what is accepted is a path, or of a scheme that runs no program.
func FuzzGitURL(f *testing.F) {
	for _, seed := range []string{
		"https://opendev.org/openstack/heat", "ssh://git@h:22/x", "file:///x", "file://x/y", "/x", "x", "ext::sh -c x", "git@h:x", "https://-oProxyCommand=x/y", "ssh://%2doX/y", "fd::3", "HTTPS://x/y",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if checkGitURL(text) != nil || filepath.IsAbs(text) {
			return
		}
		parsed, err := url.Parse(text)
		if err != nil || strings.Contains(text, "::") && !strings.Contains(text, "://") || strings.HasPrefix(text, "-") || strings.HasPrefix(parsed.Hostname(), "-") {
			t.Errorf("%q was accepted: %v", text, err)
		}
		// git takes what stands before the first :: for the name of a program.
		if program, _, found := strings.Cut(text, "::"); found && !strings.ContainsAny(program, "/:") {
			t.Errorf("%q was accepted, and git would run git-remote-%s", text, program)
		}
	})
}

// FuzzPluginrc: whatever three words a pluginrc gives, quoted, come out as they
// were or are refused at their line; and what scripts are given makes bash see
// the same.
func FuzzPluginrc(f *testing.F) {
	for _, seed := range [][3]string{
		{"heat", "https://opendev.org/openstack/heat", "stable/2025.1"}, {"a b", "x", ""}, {"heat", "/it's", "a"}, {"$(x)", "`x`", "${x}"},
		{"h", "https://x/\xff", "\\"}, {"h", "https://x/\n", ""}, {"0", "git://x", "-"},
	} {
		f.Add(seed[0], seed[1], seed[2], uint8(3))
	}
	f.Fuzz(func(t *testing.T, name, url, branch string, before uint8) {
		if strings.ContainsAny(name+url+branch, "\x00\r") {
			t.Skip("bash cannot hold NUL; CR LF is a mistake of its own")
		}
		line := int(before%5) + 1
		rc := strings.Repeat("# enable_grenade_plugin no\n", line-1) + "enable_grenade_plugin " + quote(name) + " " + quote(url) + " " + quote(branch) + "\n"
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "pluginrc"), []byte(rc), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(t.Context(), Sources{Environ: []string{"HOME=/h", "PATH=" + os.Getenv("PATH")}, Dirs: []string{dir}})
		// bash numbers a command over several lines by its first or its last.
		last := line + strings.Count(name+url+branch, "\n")
		if err != nil {
			for _, mistake := range Mistakes(err) {
				if mistake.File != filepath.Join(dir, "pluginrc") || mistake.Line < line || mistake.Line > last {
					t.Fatalf("%q: the mistake is at line %d to %d: %v", rc, line, last, err)
				}
			}
			if !IsMistake(err) {
				t.Fatalf("%q: %v", rc, err)
			}
			return
		}
		if len(c.Plugins) != 1 || c.Plugins[0].Name != name || c.Plugins[0].URL != url || branch != "" && c.Plugins[0].Branch != branch {
			t.Fatalf("%q enables %+v", rc, c.Plugins)
		}
		show := osexec.CommandContext(t.Context(), "bash", "-c", `eval "$1"; printf '%s\0' "${GRENADE_PLUGINS#,}" "${GITREPO[@]}" "${GITBRANCH[@]}" "${GITDIR[@]}"`, "-", c.PluginrcForScripts())
		seen, err := show.Output()
		want := strings.Join([]string{name, url, map[bool]string{true: c.Target.Branch, false: branch}[branch == ""], c.Plugins[0].Dir, ""}, "\x00")
		if err != nil || !bytes.Equal(seen, []byte(want)) {
			t.Fatalf("scripts see %q instead of %q: %v", seen, want, err)
		}
	})
}
