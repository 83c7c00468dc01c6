package exec_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/exec"
)

func TestCookies(t *testing.T) {
	g := NewWithT(t)
	name := fmt.Sprintf("GRENADE_TEST_JAR_%d", os.Getpid())
	start := func(value string) exec.Process {
		pidFile := filepath.Join(t.TempDir(), "pid")
		// It waits without a child, which would be a bash with the same cookie for a moment.
		c := bash(`mkfifo "$1.fifo"
setsid bash -c 'trap "" TERM; exec 9<>"$0.fifo"; echo $$ >"$0"; while :; do read -r -t 10 -u 9; done' "$1" &`, pidFile)
		c.Cookie = name + "=" + value
		_, err := exec.Run(t.Context(), c)
		g.Expect(err).NotTo(HaveOccurred())
		p := pidFrom(t, pidFile)
		t.Cleanup(func() { _ = p.Signal(9) })
		return p
	}
	one, other := start("one"), start("one-more")

	alive := func(value string) []int {
		found, err := exec.FindCookie(t.Context(), name, value)
		g.Expect(err).NotTo(HaveOccurred())
		var shells []int
		for _, p := range found {
			if strings.HasPrefix(p.Command, "bash") {
				shells = append(shells, p.PID)
			}
		}
		return shells
	}
	g.Expect(alive("one")).To(ConsistOf(one.PID), "the value is compared as a whole")
	g.Expect(alive("")).To(ConsistOf(one.PID, other.PID))
	g.Expect(alive("on")).To(BeEmpty())

	killed, err := exec.KillCookie(t.Context(), name, "one", 100*time.Millisecond)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(killed).NotTo(BeEmpty())
	g.Expect(one.Alive()).To(BeFalse())
	g.Expect(other.Alive()).To(BeTrue())
	killed, err = exec.KillCookie(t.Context(), name, "one", 0)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(killed).To(BeEmpty(), "twice is fine")

	t.Setenv(name, "one")
	_, err = exec.KillCookie(t.Context(), name, "one", 0)
	g.Expect(err).NotTo(HaveOccurred(), "the caller never kills itself")
	_, err = exec.FindCookie(t.Context(), "", "x")
	g.Expect(err).To(HaveOccurred())
}

// Who carries a cookie is seen at every moment: also while it loads its next program, when the kernel shows it
// with no environment, and when it has only just been left behind by a parent that is gone.
func TestACookieIsNeverOutOfSight(t *testing.T) {
	for script, text := range map[string]string{
		"loads program after program": `exec bash "$0"`,
		"leaves child after child":    `bash "$0" &`,
	} {
		t.Run(script, func(t *testing.T) {
			g := NewWithT(t)
			dir := t.TempDir()
			name, value := "GRENADE_TEST_SIGHT", dir
			g.Expect(os.WriteFile(filepath.Join(dir, "script"), []byte("[ -e "+dir+"/stop ] && exit\n"+text+"\n"), 0o600)).To(Succeed())
			c := bash(`bash "$1" &`, filepath.Join(dir, "script"))
			c.Log, c.Cookie = filepath.Join(dir, "log"), name+"="+value
			_, err := exec.Run(t.Context(), c)
			g.Expect(err).NotTo(HaveOccurred())

			looks, missed := 0, 0
			for end := time.Now().Add(2 * time.Second); time.Now().Before(end); looks++ {
				found, err := exec.FindCookie(t.Context(), name, value)
				g.Expect(err).NotTo(HaveOccurred())
				if len(found) == 0 {
					missed++
				}
			}
			g.Expect(os.WriteFile(filepath.Join(dir, "stop"), nil, 0o600)).To(Succeed())
			g.Expect(missed).To(BeZero(), "of %d looks", looks)
			await(t, "its end", func() bool {
				found, err := exec.FindCookie(t.Context(), name, value)
				return err == nil && len(found) == 0
			})
		})
	}
}
