package node

import (
	"crypto/rand"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// notification is what we understand of one message of systemd-nspawn (sd_notify(3), systemd-nspawn(1):
// --notify-ready).
type notification struct {
	// leader is the host's number of the container's first process: it and its network are set up.
	leader int
	// ready: the container's systemd has finished its start.
	ready  bool
	status string
}

// notifications is a socket for them.
type notifications struct {
	address string
	socket  *net.UnixConn
}

// listen opens a socket in the abstract name space: it leaves no file, and no path is too long for it.
func listen() (*notifications, error) {
	address := "@grenade-node-" + rand.Text()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("boot the node: socket for its messages: %w", err)
	}
	return &notifications{address: address, socket: socket}, nil
}

func (n *notifications) close() { _ = n.socket.Close() }

// receive gives the messages as they come, until close.
func (n *notifications) receive() <-chan notification {
	// More than a boot sends: the reader must not hang when nobody listens any more.
	heard := make(chan notification, 1024)
	go func() {
		buffer := make([]byte, 64<<10)
		for {
			size, err := n.socket.Read(buffer)
			if err != nil {
				return
			}
			select {
			case heard <- parseNotification(string(buffer[:size])):
			default:
			}
		}
	}()
	return heard
}

// parseNotification reads the lines of one message; unknown ones are left out.
func parseNotification(text string) notification {
	var n notification
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch key {
		case "X_NSPAWN_LEADER_PID":
			if pid, err := strconv.Atoi(value); err == nil && pid > 1 {
				n.leader = pid
			}
		case "READY":
			n.ready = value == "1"
		case "STATUS":
			n.status = value
		}
	}
	return n
}
