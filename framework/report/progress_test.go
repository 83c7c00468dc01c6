package report_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/log"
	"grenade/framework/report"
)

// clock is time that passes when the test says so.
type clock struct {
	mu      sync.Mutex
	now     time.Time
	ticks   chan time.Time
	stopped chan struct{}
}

func newClock() *clock {
	return &clock{now: begin(), ticks: make(chan time.Time), stopped: make(chan struct{})}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Tick(time.Duration) (<-chan time.Time, func()) {
	return c.ticks, func() { close(c.stopped) }
}

// pass lets seconds pass, with a tick each, and returns when the last of them
// has been dealt with.
func (c *clock) pass(seconds int) {
	for range seconds {
		c.mu.Lock()
		c.now = c.now.Add(time.Second)
		now := c.now
		c.mu.Unlock()
		c.ticks <- now
		// The channel has no room: who takes this one is done with the one before,
		// and has told it with this second's time, not with a later one.
		c.ticks <- now
	}
}

// screen is an io.Writer that can be read while it is written.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// shown is what a terminal shows after this output: \r goes to the line's begin,
// ESC [K clears from the cursor to its end.
func shown(output string) []string {
	var lines []string
	var line []rune
	column := 0
	for _, r := range strings.ReplaceAll(output, "\x1b[K", "\v") {
		switch r {
		case '\n':
			lines, line, column = append(lines, string(line)), nil, 0
		case '\r':
			column = 0
		case '\v':
			line = line[:column]
		default:
			line = append(line[:column], append([]rune{r}, line[min(column+1, len(line)):]...)...)
			column++
		}
	}
	return append(lines, string(line))
}

func TestProgressPrintsALinePerRow(t *testing.T) {
	g := NewWithT(t)
	out := &screen{}
	p := report.NewProgress(report.ProgressOptions{Out: out, Clock: newClock()})
	p.Start("verify_base", "glance")
	p.Done(report.Row{Phase: "verify_base", Project: "glance", Outcome: report.Passed, Duration: 1200 * time.Millisecond})
	p.Done(report.Row{Phase: "early_create", Project: "placement", Outcome: report.NotChecked, Reason: "no script"})
	p.Done(report.Row{Phase: "upgrade", Project: "nova", Outcome: report.Failed, Duration: 61 * time.Second, Failure: &report.Failure{Message: "no\nanswer"}})
	p.Close()
	p.Close()
	g.Expect(out.String()).To(Equal("" +
		"verify_base              glance       passed           1.2s\n" +
		"early_create             placement    not checked      0.0s  no script\n" +
		"upgrade                  nova         failed          61.0s  no answer\n"))
}

func TestProgressBreaksTheSilenceOfAPipe(t *testing.T) {
	g := NewWithT(t)
	out, c := &screen{}, newClock()
	p := report.NewProgress(report.ProgressOptions{Out: out, Clock: c, Heartbeat: 4 * time.Second})
	c.pass(4)
	g.Expect(out.String()).To(Equal("  … starting, silent for 4s\n"))
	p.Start("upgrade", "glance")
	p.Waiting("glance-api: HTTP\n503")
	c.pass(3)
	g.Expect(out.String()).NotTo(ContainSubstring("upgrade"))
	c.pass(1)
	g.Expect(out.String()).To(HaveSuffix("  … upgrade glance 4s: glance-api: HTTP 503\n"))
	p.Waiting("db sync")
	c.pass(8)
	g.Expect(out.String()).To(HaveSuffix("  … upgrade glance 8s: db sync\n  … upgrade glance 12s: db sync\n"))
	// A line of the log is a sign of life, too.
	_, _ = io.WriteString(p, "12:00:00 INFO  something\n")
	c.pass(3)
	g.Expect(out.String()).To(HaveSuffix("something\n"))
	c.pass(1)
	g.Expect(out.String()).To(HaveSuffix("  … upgrade glance 16s: db sync\n"))
	p.Done(report.Row{Phase: "upgrade", Project: "glance", Outcome: report.Passed})
	c.pass(4)
	g.Expect(out.String()).To(HaveSuffix("  … silent for 4s after upgrade glance\n"))
	p.Close()
	<-c.stopped
}

// The rule for terminals: whatever happens, never more than 5 s of silence.
func TestProgressIsNeverSilentForFiveSeconds(t *testing.T) {
	g := NewWithT(t)
	out, c := &screen{}, newClock()
	p := report.NewProgress(report.ProgressOptions{Out: out, Clock: c, Heartbeat: report.HeartbeatTerminal})
	defer p.Close()
	p.Start("setup", "cloud")
	silent, before := 0, 0
	for range 60 {
		c.pass(1)
		if now := len(out.String()); now > before {
			silent, before = 0, now
		} else if silent++; silent >= 5 {
			g.Expect(silent).To(BeNumerically("<", 5))
		}
	}
}

func TestProgressWithoutHeartbeatIsQuiet(t *testing.T) {
	g := NewWithT(t)
	out, c := &screen{}, newClock()
	p := report.NewProgress(report.ProgressOptions{Out: out, Clock: c})
	p.Start("upgrade", "glance")
	c.pass(100)
	p.Close()
	g.Expect(out.String()).To(BeEmpty())
}

func TestProgressOnATerminalWritesOneLineOver(t *testing.T) {
	g := NewWithT(t)
	out, c := &screen{}, newClock()
	p := report.NewProgress(report.ProgressOptions{Out: out, Clock: c, Terminal: true, Width: 40, Heartbeat: 4 * time.Second})
	p.Start("verify", "keystone")
	other := p.Start("verify", "glance")
	other.Waiting("image to be active, which is a long story")
	c.pass(2)
	g.Expect(shown(out.String())).To(Equal([]string{"  … verify keystone 2s (and 1 more)"}))
	_, _ = io.WriteString(p, "a line of the log\nhalf ")
	p.Done(report.Row{Phase: "verify", Project: "keystone", Outcome: report.Passed, Duration: 2 * time.Second})
	g.Expect(shown(out.String())).To(Equal([]string{"a line of the log", "verify                   keystone     passed           2.0s", ""}))
	_, _ = io.WriteString(p, "a line\n")
	c.pass(1)
	now := shown(out.String())
	g.Expect(now[2:]).To(Equal([]string{"half a line", "  … verify glance 3s: image to be acti…"}))
	g.Expect(len([]rune(now[3]))).To(BeNumerically("<", 40), "a line that wraps could not be written over")
	p.Done(report.Row{Phase: "verify", Project: "glance", Outcome: report.Passed})
	c.pass(1)
	_, _ = io.WriteString(p, "no end")
	p.Close()
	g.Expect(shown(out.String())).To(HaveLen(6))
	g.Expect(out.String()).To(HaveSuffix("no end\n"))
	_, _ = io.WriteString(p, "after the end\n")
	g.Expect(out.String()).To(HaveSuffix("after the end\n"))
}

func TestProgressHidesSecrets(t *testing.T) {
	g := NewWithT(t)
	out, c := &screen{}, newClock()
	p := report.NewProgress(report.ProgressOptions{Out: out, Clock: c, Terminal: true, Width: 40, Redact: log.NewRedactor("secret-password").String})
	p.Start("upgrade", "glance")
	p.Waiting("mysql --pass secret-password")
	c.pass(1)
	_, _ = io.WriteString(p, "secret-")
	_, _ = io.WriteString(p, "password\n")
	p.Done(report.Row{Phase: "upgrade", Project: "glance", Outcome: report.Failed, Failure: &report.Failure{Message: strings.Repeat("x", 192) + "secret-password"}})
	p.Close()
	g.Expect(out.String()).NotTo(ContainSubstring("secret"))
}

func TestProgressLosesNoLine(t *testing.T) {
	g := NewWithT(t)
	out, c := &screen{}, newClock()
	p := report.NewProgress(report.ProgressOptions{Out: out, Clock: c, Terminal: true, Heartbeat: time.Second})
	var wait sync.WaitGroup
	for i := range 30 {
		wait.Go(func() {
			name := fmt.Sprintf("project%02d", i)
			a := p.Start("verify", name)
			for j := range 10 {
				a.Waiting(fmt.Sprint(j))
				_, _ = fmt.Fprintf(p, "log %s %d\n", name, j)
			}
			p.Done(report.Row{Phase: "verify", Project: name, Outcome: report.Passed})
		})
	}
	wait.Go(func() { c.pass(20) })
	wait.Wait()
	p.Close()
	lines := shown(out.String())
	g.Expect(lines).To(HaveLen(30*11 + 1))
	for i := range 30 {
		g.Expect(lines).To(ContainElement(HavePrefix(fmt.Sprintf("verify                   project%02d    passed", i))))
		for j := range 10 {
			g.Expect(lines).To(ContainElement(fmt.Sprintf("log project%02d %d", i, j)))
		}
	}
}

type deadTerminal struct{}

func (deadTerminal) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestProgressSurvivesItsTerminal(t *testing.T) {
	g := NewWithT(t)
	c := newClock()
	p := report.NewProgress(report.ProgressOptions{Out: deadTerminal{}, Clock: c, Terminal: true})
	p.Start("a", "b")
	c.pass(3)
	n, err := io.WriteString(p, "line\n")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(n).To(Equal(5))
	p.Done(report.Row{})
	p.Close()
}

func TestHeartbeat(t *testing.T) {
	g := NewWithT(t)
	g.Expect(report.Heartbeat([]string{"HOME=/x", "CI="})).To(Equal(report.HeartbeatTerminal))
	g.Expect(report.Heartbeat([]string{"CI=false"})).To(Equal(report.HeartbeatTerminal))
	g.Expect(report.Heartbeat([]string{"CI=true"})).To(Equal(report.HeartbeatCI))
	g.Expect(report.Heartbeat([]string{"ZUUL_UUID=1"})).To(Equal(report.HeartbeatCI))
}

func TestIsTerminal(t *testing.T) {
	g := NewWithT(t)
	read, write, err := os.Pipe()
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _, _ = read.Close(), write.Close() }()
	terminal, _ := report.IsTerminal(write)
	g.Expect(terminal).To(BeFalse())
	terminal, _ = report.IsTerminal(&screen{})
	g.Expect(terminal).To(BeFalse())
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo terminals here: ", err)
	}
	defer func() { _ = ptmx.Close() }()
	terminal, width := report.IsTerminal(ptmx)
	g.Expect(terminal).To(BeTrue())
	g.Expect(width).To(Equal(80))
}
