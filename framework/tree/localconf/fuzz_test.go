package localconf_test

import (
	"strings"
	"testing"

	"grenade/framework/tree/localconf"
)

// FuzzMerge: whatever two files hold, nothing of the localrc of either is lost
// or changes its order, an option that the other sets has its value afterwards,
// and merging it again changes nothing but the localrc.
func FuzzMerge(f *testing.F) {
	for _, seed := range [][2]string{
		{"[[local|localrc]]\nA=1\n", "[[local|localrc]]\nB=2\n[[post-config|$X]]\n[a]\nx = 1\n"},
		{"", "[[post-config|$X]]\nx = 1\n[a]\nx = 1\nx = 2\n"},
		{"[[post-config|$X]]\n[a]\n[[post-config|$X]]\n[a]\nx=0\n", "[[post-config|$X]]\n[a]\nx = 1\n"},
		{"[[ -n $A || -n $B ]]\nA=1", "[[local|localrc]]\n[[a|b|c]]\n[[local|x]]\ny\n"},
		{"A=1\r\n", "[[local|localrc]]\r\nA=1\r\n"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, ours, over string) {
		conf, other := localconf.Parse(ours), localconf.Parse(over)
		before, added := conf.Section("local", "localrc"), other.Section("local", "localrc")
		conf.Merge(other)
		after := conf.Section("local", "localrc")
		if !strings.HasPrefix(after, before) && !strings.Contains(ours, "[[local|localrc]]") {
			t.Errorf("the localrc of %q with %q over it is %q", ours, over, after)
		}
		if !inOrder(after, added) {
			t.Errorf("the localrc of %q is not all in that of %q: %q", over, conf, after)
		}
		withoutLocal := localconf.Parse(strings.ReplaceAll(over, "[[local|", "[[no|"))
		conf.Merge(withoutLocal)
		once := conf.String()
		conf.Merge(withoutLocal)
		if conf.String() != once {
			t.Errorf("%q, merged again, makes %q of %q", over, conf, once)
		}
		if again := localconf.Parse(once).String(); again != once && once != "\n" {
			t.Errorf("%q is read as %q", once, again)
		}
	})
}

// inOrder tells whether all lines stand in text in their order, but for blanks
// at their ends.
func inOrder(text, lines string) bool {
	rest := strings.Split(text, "\n")
	for _, line := range strings.Split(strings.TrimSuffix(lines, "\n"), "\n") {
		line = strings.TrimRight(line, " \t\r\v\f")
		for len(rest) > 0 && strings.TrimRight(rest[0], " \t\r\v\f") != line {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			return line == ""
		}
		rest = rest[1:]
	}
	return true
}
