package guest

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
)

const (
	// pings is how many echo requests may go unanswered before Ping gives up:
	// the first may be lost while an address is resolved.
	pings = 3
	// pingEvery is how long one is waited for.
	pingEvery = time.Second
)

// Ping sends ICMP echo requests until one is answered. It needs root, or a
// net.ipv4.ping_group_range that lets the caller.
func (r Responder) Ping(ctx context.Context) error {
	host := r.Address
	if h, _, err := net.SplitHostPort(r.Address); err == nil {
		host = h
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return fmt.Errorf("ping %s: not an IP address", host)
	}
	conn, peer, err := listen(ip)
	if err != nil {
		return fmt.Errorf("ping %s: %w", host, err)
	}
	defer func() { _ = conn.Close() }()
	secret := make([]byte, 10)
	if _, err := rand.Read(secret); err != nil {
		return fmt.Errorf("ping %s: %w", host, err)
	}
	for n := 1; n <= pings; n++ {
		answered, err := echo(ctx, conn, peer, n, secret)
		if err != nil {
			return fmt.Errorf("ping %s: %w", host, err)
		}
		if answered {
			return nil
		}
	}
	return fmt.Errorf("ping %s: %d requests, no answer within %s", host, pings, pings*pingEvery)
}

// listen opens a raw socket, or the kernel's socket for pings where only that is
// allowed.
func listen(ip net.IP) (*icmp.PacketConn, net.Addr, error) {
	conn, err := icmp.ListenPacket("ip4:icmp", "0.0.0.0")
	if err == nil {
		return conn, &net.IPAddr{IP: ip}, nil
	}
	if !errors.Is(err, fs.ErrPermission) {
		return nil, nil, fmt.Errorf("open a raw socket: %w", err)
	}
	conn, err = icmp.ListenPacket("udp4", "0.0.0.0")
	if err != nil {
		return nil, nil, fmt.Errorf("open a socket for pings: %w", err)
	}
	return conn, &net.UDPAddr{IP: ip}, nil
}

// echo sends one request and waits for its answer. The answer is known by its
// payload: the kernel's socket for pings chooses the id by itself, and a raw one
// sees every other ping's answers.
func echo(ctx context.Context, conn *icmp.PacketConn, peer net.Addr, n int, secret []byte) (bool, error) {
	request := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{
		ID: int(binary.BigEndian.Uint16(secret)), Seq: n, Data: secret[2:],
	}}
	packet, err := request.Marshal(nil)
	if err != nil {
		return false, fmt.Errorf("make a request: %w", err)
	}
	end := time.Now().Add(pingEvery)
	if limit, ok := ctx.Deadline(); ok && limit.Before(end) {
		end = limit
	}
	if err := conn.SetReadDeadline(end); err != nil {
		return false, fmt.Errorf("set the time limit: %w", err)
	}
	if _, err := conn.WriteTo(packet, peer); err != nil {
		return false, fmt.Errorf("send a request: %w", err)
	}
	buffer := make([]byte, 1500)
	for {
		if err := ctx.Err(); err != nil {
			return false, fmt.Errorf("wait for an answer: %w", err)
		}
		size, _, err := conn.ReadFrom(buffer)
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("receive an answer: %w", err)
		}
		const protocolICMP = 1 // RFC 792
		answer, err := icmp.ParseMessage(protocolICMP, buffer[:size])
		if err != nil {
			continue // somebody else's
		}
		reply, ok := answer.Body.(*icmp.Echo)
		if ok && answer.Type == ipv4.ICMPTypeEchoReply && string(reply.Data) == string(secret[2:]) {
			return true, nil
		}
	}
}
