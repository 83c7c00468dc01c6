package suite_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// signals decides what a signal, the suite's timeout or the death of the
// starting process does to the run.
type signals struct {
	stop      context.CancelCauseFunc
	interrupt func(reason string)
	received  chan os.Signal
	done      chan struct{}

	mu     sync.Mutex
	leave  bool
	signal bool
}

// interruption is why a run ends before its time.
type interruption struct{ reason string }

func (i *interruption) Error() string { return i.reason }

// heedSignals starts to watch. Ginkgo gets the same signals and stops handing
// out rows at the first; what is decided here is what becomes of the row in
// progress and of the cloud:
//
//   - SIGINT: the row finishes, the cloud is left.
//   - SIGTERM, timeout, death of the starting process: the row's script is
//     killed, and the cloud is cleaned up.
//   - any second signal: the script is killed and the cloud is left.
func heedSignals(stop context.CancelCauseFunc, limit time.Duration, interrupt func(string)) *signals {
	s := &signals{stop: stop, interrupt: interrupt, received: make(chan os.Signal, 4), done: make(chan struct{})}
	signal.Notify(s.received, os.Interrupt, syscall.SIGTERM)
	starterDied, err := watchStarter()
	if err != nil {
		fmt.Fprintf(os.Stderr, "the process that started this run cannot be watched: %v\n", err)
	}
	go s.watch(time.After(limit), limit, starterDied)
	return s
}

// leaveCloud tells whether the user wants to go on with the cloud himself.
func (s *signals) leaveCloud() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leave
}

// interrupted tells whether a signal, or the death of the starting process,
// ended the run. A timeout is no interrupt: it is a run that did not make it.
func (s *signals) interrupted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signal
}

func (s *signals) noteSignal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signal = true
}

// ignore ends the watching.
func (s *signals) ignore() {
	signal.Stop(s.received)
	close(s.done)
}

func (s *signals) watch(timeout <-chan time.Time, limit time.Duration, starterDied <-chan struct{}) {
	// expected is our own signal to Ginkgo, on its way back to us.
	ending, expected := false, false
	end := func(reason string) {
		s.interrupt(reason)
		s.stop(&interruption{reason})
		ending = true
	}
	for {
		select {
		case <-s.done:
			return
		case <-timeout:
			end(fmt.Sprintf("the suite's timeout of %s is over (SUITE_TIMEOUT)", limit))
			expected = true
			tellGinkgo()
		case <-starterDied:
			starterDied = nil
			s.noteSignal()
			end("the process that started the run died")
			expected = true
			tellGinkgo()
		case received := <-s.received:
			switch {
			case expected:
				expected = false
			case ending:
				s.noteSignal()
				s.leaveTheCloud()
				s.stop(&interruption{"a second signal"})
			case received == os.Interrupt:
				s.noteSignal()
				s.leaveTheCloud()
				s.interrupt("interrupted; the cloud is left: RESUME=True continues, make clean cleans up")
				ending = true
			default:
				s.noteSignal()
				end("terminated")
			}
		}
	}
}

func (s *signals) leaveTheCloud() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave = true
}
