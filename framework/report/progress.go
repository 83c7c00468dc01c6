package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Clock is time, so that tests can have their own.
type Clock interface {
	Now() time.Time
	// Tick sends about every d until stop is called.
	Tick(d time.Duration) (c <-chan time.Time, stop func())
}

type realClock struct{}

// Now is the time of day.
func (realClock) Now() time.Time { return time.Now() }

// Tick is a time.Ticker.
func (realClock) Tick(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTicker(d)
	return t.C, t.Stop
}

// The heartbeats: nobody at a terminal should look at 5 s of silence; a CI log
// should only not look dead.
const (
	HeartbeatTerminal = 4 * time.Second
	HeartbeatCI       = 30 * time.Second
)

// Heartbeat is the one that fits an environment, given as os.Environ does: CI
// systems (Zuul's base jobs, GitHub, GitLab, Jenkins) set CI, ZUUL or BUILD_ID.
// Under `ginkgo run` stdout is always a pipe, so the terminal cannot be asked.
func Heartbeat(environ []string) time.Duration {
	for _, entry := range environ {
		switch name, value, _ := strings.Cut(entry, "="); name {
		case "CI", "ZUUL", "ZUUL_UUID", "BUILD_ID":
			if value != "" && value != "false" && value != "0" {
				return HeartbeatCI
			}
		}
	}
	return HeartbeatTerminal
}

// ProgressOptions say how a run is told while it goes on.
type ProgressOptions struct {
	Out io.Writer
	// Terminal: Out is a terminal, so a line can be written over. See IsTerminal.
	Terminal bool
	// Width of the terminal in columns. Default: 80.
	Width int
	// Heartbeat is how long a pipe may be silent. 0: as long as it likes.
	Heartbeat time.Duration
	// Redact, when set, is applied to every line.
	Redact func(string) string
	// Clock, default: the real one.
	Clock Clock
}

// Progress tells a run while it goes on: a line per row when it is done, and in
// between what is being waited for. It is safe for concurrent use, and an
// io.Writer for the log, so that lines never run into each other. A dead
// terminal does not matter to it.
type Progress struct {
	o    ProgressOptions
	stop func()
	done chan struct{}

	mu      sync.Mutex
	active  []*Activity // in the order started
	last    time.Time   // of the last output
	said    string      // the last row's name, for when nothing is active
	status  bool        // the status line is on the screen
	partial []byte      // a log line that has no end yet
	closed  bool
}

// Activity is a row that is going on.
type Activity struct {
	progress       *Progress
	phase, project string
	started        time.Time
	waiting        string
}

// tick is how often Progress looks whether it has something to tell.
const tick = time.Second

// NewProgress starts telling; Close ends it.
func NewProgress(o ProgressOptions) *Progress {
	if o.Clock == nil {
		o.Clock = realClock{}
	}
	if o.Width <= 0 {
		o.Width = 80
	}
	p := &Progress{o: o, done: make(chan struct{}), last: o.Clock.Now()}
	ticks, stopTicks := o.Clock.Tick(tick)
	quit := make(chan struct{})
	p.stop = sync.OnceFunc(func() { close(quit) })
	go func() {
		defer close(p.done)
		defer stopTicks()
		for {
			select {
			case <-quit:
				return
			case <-ticks:
				p.beat()
			}
		}
	}()
	return p
}

// Close ends the telling: the status line goes, an unfinished log line is
// finished. It may be called several times.
func (p *Progress) Close() {
	p.stop()
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if len(p.partial) > 0 {
		p.lines(p.o.redacted(string(p.partial)) + "\n")
		p.partial = nil
	}
	p.clear()
	p.closed = true
}

// Start tells that a row has begun. The result is for rows that run side by
// side; who runs one at a time may drop it and call Progress.Waiting.
func (p *Progress) Start(phase, project string) *Activity {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := &Activity{progress: p, phase: phase, project: project, started: p.o.Clock.Now()}
	p.active = append(p.active, a)
	return a
}

// Waiting says what the row waits for, or its script's last line.
func (a *Activity) Waiting(text string) {
	a.progress.mu.Lock()
	defer a.progress.mu.Unlock()
	a.waiting = text
}

// Waiting says it of the row that was started last.
func (p *Progress) Waiting(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.active) > 0 {
		p.active[len(p.active)-1].waiting = text
	}
}

// Done tells a row's outcome in a line:
//
//	verify_base      glance       passed           1.2s
func (p *Progress) Done(row Row) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, a := range p.active {
		if a.phase == row.Phase && a.project == row.Project {
			p.active = append(p.active[:i], p.active[i+1:]...)
			break
		}
	}
	outcome := row.Outcome
	if outcome == "" {
		outcome = NotRun
	}
	line := fmt.Sprintf("%-24s %-12s %-12s %8s", plain(row.Phase, 0), plain(row.Project, 0), outcome, seconds(row.Duration))
	switch {
	case outcome == Failed:
		line += "  " + plain(p.o.redacted(headline(row)), screenWidth)
	case row.Reason != "":
		line += "  " + plain(p.o.redacted(row.Reason), screenWidth)
	}
	p.said = row.Phase + " " + row.Project
	p.lines(line + "\n")
}

// Write passes whole lines of a log on; it never fails.
func (p *Progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		p.write(p.o.redacted(string(text)))
		return len(text), nil
	}
	all := append(p.partial, text...)
	end := bytes.LastIndexByte(all, '\n') + 1
	if end > 0 {
		p.lines(p.o.redacted(string(all[:end])))
	}
	p.partial = append([]byte(nil), all[end:]...)
	return len(text), nil
}

// lines writes text, which ends in a newline, in the place of the status line.
func (p *Progress) lines(text string) {
	p.clear()
	p.write(text)
}

func (p *Progress) clear() {
	if p.status {
		p.status = false
		p.write("\r\x1b[K")
	}
}

// write ignores errors: the terminal may be gone.
func (p *Progress) write(text string) {
	_, _ = io.WriteString(p.o.Out, text)
	p.last = p.o.Clock.Now()
}

// beat updates the status line of a terminal; on a pipe it breaks a silence that
// is about to become too long.
func (p *Progress) beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	now := p.o.Clock.Now()
	switch {
	case p.o.Terminal:
		if len(p.active) == 0 {
			p.clear()
			return
		}
		text := cut("  … "+p.doing(now), p.o.Width-1)
		p.status = true
		p.write("\r" + text + "\x1b[K")
	// The next look is a tick away: then it may be too late.
	case p.o.Heartbeat > 0 && now.Add(tick/2).Sub(p.last) >= p.o.Heartbeat:
		p.write(cut("  … "+p.doing(now), screenWidth) + "\n")
	}
}

// redacted hides secrets before a line is cut, which would leave half of one.
func (o ProgressOptions) redacted(text string) string {
	if o.Redact == nil {
		return text
	}
	return o.Redact(text)
}

// doing is "upgrade glance 12s: <last>"; of several rows it tells the oldest
// and counts the others.
func (p *Progress) doing(now time.Time) string {
	if len(p.active) == 0 {
		if p.said == "" {
			return fmt.Sprintf("starting, silent for %s", whole(now.Sub(p.last)))
		}
		return fmt.Sprintf("silent for %s after %s", whole(now.Sub(p.last)), p.said)
	}
	a := p.active[0]
	text := fmt.Sprintf("%s %s %s", plain(a.phase, 0), plain(a.project, 0), whole(now.Sub(a.started)))
	if more := len(p.active) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	if a.waiting != "" {
		text += ": " + plain(p.o.redacted(a.waiting), screenWidth)
	}
	return text
}

// whole shows an elapsed time in seconds, without jitter.
func whole(d time.Duration) string {
	d = d.Round(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
}
