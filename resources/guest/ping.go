package guest

import (
	"context"
	"fmt"
	"net"
	"time"

	probing "github.com/prometheus-community/pro-bing"
)

const (
	// pings is how many echo requests may go unanswered before Ping gives up:
	// the first may be lost while an address is resolved.
	pings = 3
	// pingEvery is the time between two of them.
	pingEvery = time.Second
)

// Ping sends ICMP echo requests until one is answered. It needs root.
func (r Responder) Ping(ctx context.Context) error {
	host := r.Address
	if h, _, err := net.SplitHostPort(r.Address); err == nil {
		host = h
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return fmt.Errorf("ping %q: no IP address", host)
	}
	pinger := probing.New(host)
	pinger.SetIPAddr(&net.IPAddr{IP: ip})
	pinger.SetPrivileged(true)
	pinger.SetLogger(probing.NoopLogger{})
	pinger.Count = pings
	pinger.Interval = pingEvery
	pinger.Timeout = pings * pingEvery
	pinger.OnRecv = func(*probing.Packet) { pinger.Stop() }
	// A network that is gone may come back with the next request.
	pinger.OnSendError = func(*probing.Packet, error) {}
	if err := pinger.RunWithContext(ctx); err != nil {
		return fmt.Errorf("ping %s: %w", host, err)
	}
	if seen := pinger.Statistics(); seen.PacketsRecv == 0 {
		return fmt.Errorf("ping %s: %d requests, no answer within %s", host, seen.PacketsSent, pings*pingEvery)
	}
	return nil
}
