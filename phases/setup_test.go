package phases

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/report"
)

// hourly is a clock on which an hour passes between any two looks, and that ticks when told.
type hourly struct {
	mu    sync.Mutex
	hours int
	ticks chan time.Time
}

func (c *hourly) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hours++
	return time.Unix(0, 0).Add(time.Duration(c.hours) * time.Hour)
}

func (c *hourly) Tick(time.Duration) (<-chan time.Time, func()) { return c.ticks, func() {} }

// stackedCloud calls during in the middle of its stack.sh.
type stackedCloud struct {
	localCloud
	during func()
}

func (c stackedCloud) Stack(context.Context, string, func(string)) error {
	c.during()
	return nil
}

// Its first step takes 40 seconds on a slow machine, which people were told to be the settings'.
func TestPeopleAreToldThatStackShIsWaitedFor(t *testing.T) {
	g := NewWithT(t)
	run, said, clock := ordered(t, "a"), &strings.Builder{}, &hourly{ticks: make(chan time.Time)}
	run.progress = report.NewProgress(report.ProgressOptions{Out: said, Heartbeat: time.Second, Clock: clock})
	run.use(stackedCloud{localCloud: localCloud{root: run.Config.StackRoot}, during: func() {
		clock.ticks <- time.Now()
		run.progress.Close() // what has ticked is told by then
	}}, nil)
	run.progress.Start(SetupRow, CloudProject)
	run.progress.Waiting("the plugins' settings")
	g.Expect(run.stackBase(t.Context())).To(Succeed())
	g.Expect(said.String()).To(HaveSuffix(": stack.sh of the base tree\n"))
}
