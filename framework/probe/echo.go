package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	probing "github.com/prometheus-community/pro-bing"
)

// answerWithin is how long an answer to an echo request may take. Requests that
// are younger when the watch ends do not count.
const answerWithin = 2 * time.Second

// Echo sends ICMP echo requests to one address, at a steady pace, and remembers
// which were answered. It needs root, or a host that allows ping sockets.
type Echo struct {
	address string
	every   time.Duration
	cancel  context.CancelFunc
	done    chan error

	mu       sync.Mutex
	requests []request
	// bySequence finds a request by the 16 bits that its answer carries.
	bySequence map[int]int
}

type request struct {
	sent     time.Time
	answered bool
}

// WatchEcho begins to send a request to an IPv4 address every so often, until
// Stop, whatever ends ctx. The error is that of an address that is none.
func WatchEcho(ctx context.Context, address string, every time.Duration) (*Echo, error) {
	ip := net.ParseIP(address)
	if ip == nil || ip.To4() == nil {
		return nil, fmt.Errorf("watch %q: no IPv4 address", address)
	}
	e := &Echo{address: address, every: every, done: make(chan error, 1), bySequence: map[int]int{}}
	pinger := probing.New(address)
	pinger.SetIPAddr(&net.IPAddr{IP: ip})
	pinger.SetPrivileged(true)
	pinger.SetLogger(probing.NoopLogger{})
	pinger.Interval = every
	pinger.RecordRtts = false
	pinger.OnSend = func(packet *probing.Packet) { e.sent(packet.Seq) }
	// A network that is gone is no answer, and no reason to stop asking.
	pinger.OnSendError = func(packet *probing.Packet, _ error) { e.sent(packet.Seq) }
	pinger.OnRecv = func(packet *probing.Packet) { e.answered(packet.Seq) }
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e.cancel = cancel
	go func() { e.done <- pinger.RunWithContext(ctx) }()
	return e, nil
}

func (e *Echo) sent(sequence int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.bySequence[sequence] = len(e.requests)
	e.requests = append(e.requests, request{sent: time.Now()})
}

func (e *Echo) answered(sequence int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if i, asked := e.bySequence[sequence]; asked && time.Since(e.requests[i].sent) <= answerWithin {
		e.requests[i].answered = true
	}
}

// Continuity is what a watch has seen of one address.
type Continuity struct {
	Address string `json:"address"`
	// Every is the time between two requests.
	Every time.Duration `json:"every_ns"`
	// From and To are when the first and the last request was sent.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Sent int       `json:"sent"`
	Lost int       `json:"lost"`
	Gaps []Gap     `json:"gaps,omitempty"`
}

// Gap is a stretch of time without an answer.
type Gap struct {
	From time.Time `json:"from"`
	// Duration runs from the first request without an answer to the next that
	// had one, or to the last request.
	Duration time.Duration `json:"duration_ns"`
	Lost     int           `json:"lost"`
}

// Longest is the longest gap, 0 without any.
func (c Continuity) Longest() time.Duration {
	longest := time.Duration(0)
	for _, gap := range c.Gaps {
		longest = max(longest, gap.Duration)
	}
	return longest
}

// String is one line for people.
func (c Continuity) String() string {
	text := fmt.Sprintf("%s answered %d of %d pings in %s, one every %s", c.Address, c.Sent-c.Lost, c.Sent, c.To.Sub(c.From).Round(time.Second), c.Every)
	for _, gap := range c.Gaps {
		text += fmt.Sprintf("; none of %d for %.1f s from %s", gap.Lost, gap.Duration.Seconds(), gap.From.Format(time.TimeOnly))
	}
	return text
}

// Stop ends the watch and says what it has seen. An error means that requests
// could not be sent at all.
func (e *Echo) Stop() (Continuity, error) {
	e.cancel()
	err := <-e.done
	e.mu.Lock()
	defer e.mu.Unlock()
	seen := continuity(e.address, e.every, slices.Clone(e.requests), time.Now())
	if err != nil && !errors.Is(err, context.Canceled) {
		return seen, fmt.Errorf("watch %s: %w", e.address, err)
	}
	return seen, nil
}

// continuity sums up requests, which are in the order of their sending. Those
// that may still be answered are left out.
func continuity(address string, every time.Duration, requests []request, now time.Time) Continuity {
	requests = slices.DeleteFunc(requests, func(r request) bool { return !r.answered && now.Sub(r.sent) < answerWithin })
	seen := Continuity{Address: address, Every: every, Sent: len(requests)}
	if len(requests) == 0 {
		return seen
	}
	seen.From, seen.To = requests[0].sent, requests[len(requests)-1].sent
	silent := false
	for _, each := range requests {
		switch {
		case each.answered && silent:
			last := &seen.Gaps[len(seen.Gaps)-1]
			last.Duration = each.sent.Sub(last.From)
		case !each.answered:
			seen.Lost++
			if !silent {
				seen.Gaps = append(seen.Gaps, Gap{From: each.sent})
			}
			last := &seen.Gaps[len(seen.Gaps)-1]
			last.Lost++
			last.Duration = each.sent.Sub(last.From)
		}
		silent = !each.answered
	}
	return seen
}
