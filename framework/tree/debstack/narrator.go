package debstack

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// narrator condenses the thousands of lines that apt and dpkg print into one about every second, and repeats the
// last one with its age when nothing new was printed for progressInterval.
type narrator struct {
	tell func(string)

	mu       sync.Mutex
	stage    string // what mmdebstrap does: "installing essential packages"
	detail   string // what apt or dpkg does within it
	packages int    // how many this stage installs
	steps    int    // how many of its three steps per package are done: fetched, unpacked, set up
	changed  bool
	since    time.Time // when detail began

	quit chan struct{}
	done sync.WaitGroup
}

// narratorPace is the shortest time between two lines that apt and dpkg give rise to.
const narratorPace = time.Second

func startNarrator(tell func(string)) *narrator {
	n := &narrator{tell: tell, stage: "starting mmdebstrap", changed: true, since: time.Now(), quit: make(chan struct{})}
	n.done.Go(n.run)
	return n
}

func (n *narrator) run() {
	tick := time.NewTicker(narratorPace)
	defer tick.Stop()
	told := time.Time{}
	for {
		n.mu.Lock()
		text, due := n.text(), n.changed || time.Since(told) >= progressInterval
		if due {
			n.changed = false
		}
		n.mu.Unlock()
		if due {
			n.tell(text)
			told = time.Now()
		}
		select {
		case <-n.quit:
			return
		case <-tick.C:
		}
	}
}

// stop ends the narration; after it, tell is not called any more.
func (n *narrator) stop() {
	close(n.quit)
	n.done.Wait()
}

// say sets the stage itself.
func (n *narrator) say(stage string) { n.line("I: " + stage) }

var (
	newlyInstalled = regexp.MustCompile(`^\d+ upgraded, (\d+) newly installed`)
	fetching       = regexp.MustCompile(`^Get:\d+ \S+ \S+/\S+ \S+ (\S+) `)
	dpkgStep       = regexp.MustCompile(`^(Unpacking|Setting up) ([^ :]+)`)
)

// line takes in one line of output.
func (n *narrator) line(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	before := n.text()
	switch part := []string(nil); {
	case strings.HasPrefix(line, "I: running --customize-hook"):
		n.stage, n.detail = "making the root ready for any run", ""
	case strings.HasPrefix(line, "I: "):
		n.stage, n.detail = strings.TrimSuffix(strings.TrimPrefix(line, "I: "), "..."), ""
	case matches(newlyInstalled, line, &part):
		n.packages, _ = strconv.Atoi(part[1]) // \d+ within int: a count of packages
		n.steps = 0
	case matches(fetching, line, &part):
		n.steps++
		n.detail = "fetching " + part[1]
	case matches(dpkgStep, line, &part):
		n.steps++
		n.detail = strings.ToLower(part[1]) + " " + part[2]
	}
	if n.text() != before {
		n.changed, n.since = true, time.Now()
	}
}

func matches(pattern *regexp.Regexp, line string, part *[]string) bool {
	*part = pattern.FindStringSubmatch(line)
	return *part != nil
}

// text is the line to be told; the caller holds the lock.
func (n *narrator) text() string {
	text := n.stage
	if n.packages > 0 && n.detail != "" {
		// The essential packages are set up twice by mmdebstrap's method, hence the bound.
		text = fmt.Sprintf("%s: %d packages, %d %%, %s", n.stage, n.packages, min(99, 100*n.steps/(3*n.packages)), n.detail)
	}
	if waited := time.Since(n.since); waited >= progressInterval {
		text += fmt.Sprintf(" (%s)", waited.Round(time.Second))
	}
	return text
}
