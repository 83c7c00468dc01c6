package probe

import (
	"os"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestContinuity(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	requests := func(answers string) []request {
		var all []request
		for i, answer := range answers {
			all = append(all, request{sent: start.Add(time.Duration(i) * time.Second), answered: answer == '!'})
		}
		return all
	}
	for name, test := range map[string]struct {
		answers string
		lost    int
		gaps    []Gap
	}{
		"all answered": {"!!!!", 0, nil},
		"one lost":     {"!!.!", 1, []Gap{{From: start.Add(2 * time.Second), Duration: time.Second, Lost: 1}}},
		"two gaps": {"!..!.!", 3, []Gap{
			{From: start.Add(time.Second), Duration: 2 * time.Second, Lost: 2},
			{From: start.Add(4 * time.Second), Duration: time.Second, Lost: 1},
		}},
		"silent to the end": {"!...", 3, []Gap{{From: start.Add(time.Second), Duration: 2 * time.Second, Lost: 3}}},
		"never answered":    {"...", 3, []Gap{{From: start, Duration: 2 * time.Second, Lost: 3}}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			seen := continuity("192.0.2.1", time.Second, requests(test.answers), start.Add(time.Hour))
			g.Expect(seen.Sent).To(Equal(len(test.answers)))
			g.Expect(seen.Lost).To(Equal(test.lost))
			g.Expect(seen.Gaps).To(Equal(test.gaps))
		})
	}
}

func TestYoungRequestsDoNotCount(t *testing.T) {
	g := NewWithT(t)
	now := time.Now()
	seen := continuity("192.0.2.1", time.Second, []request{
		{sent: now.Add(-time.Minute), answered: true}, {sent: now.Add(-time.Second)}, {sent: now, answered: true},
	}, now)
	g.Expect(seen.Sent).To(Equal(2))
	g.Expect(seen.Lost).To(BeZero())
}

func TestEchoOfThisMachine(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("ICMP sockets need root")
	}
	g := NewWithT(t)
	echo, err := WatchEcho(t.Context(), "127.0.0.1", 20*time.Millisecond)
	g.Expect(err).NotTo(HaveOccurred())
	answered := func() int {
		echo.mu.Lock()
		defer echo.mu.Unlock()
		n := 0
		for _, each := range echo.requests {
			if each.answered {
				n++
			}
		}
		return n
	}
	g.Eventually(answered, 10*time.Second).Should(BeNumerically(">", 5))
	seen, err := echo.Stop()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(seen.Lost).To(BeZero())
	g.Expect(seen.String()).To(ContainSubstring("127.0.0.1 answered"))
}

func TestNoAddress(t *testing.T) {
	_, err := WatchEcho(t.Context(), "guest", time.Second)
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("no IPv4 address")))
}
